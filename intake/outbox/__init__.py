"""What must not be lost: messages written with the act they tell of, sent until they are sent."""

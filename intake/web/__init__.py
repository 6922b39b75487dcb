"""The door for people: pages in HTML, for the person asking and for staff."""

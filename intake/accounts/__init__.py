"""People who may look: accounts, second factors, sessions and what each role may do."""

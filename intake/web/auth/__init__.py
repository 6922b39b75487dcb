"""Authentication of staff: sign-in, session cookies, CSRF, re-authentication, invitations."""

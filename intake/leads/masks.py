"""What may be seen of a name, a number or an address before it is revealed: pure functions.

An initial and two figures tell colleagues which request they talk about, and nobody who looks over a
shoulder whom it is about. The number of dots is always the same: the length must not show.
"""

_DOTS = "•••••"


def mask_name(name: str) -> str:
    """`R•••••`; only dots when the name is one letter, or holds none."""
    letter = initial(name)
    return letter + _DOTS


def initial(name: str) -> str:
    """The first letter or figure, in upper case; empty when it would be the whole name."""
    first = next((letter for letter in name if letter.isalnum()), "")
    return first.upper()[:1] if len(name) > 1 else ""


def mask_phone(phone: str) -> str:
    """`(•••) •••-••63` for +1 numbers in E.164, `••• ••• ••63` for all others."""
    return ("(•••) •••-••" if phone.startswith("+1") else "••• ••• ••") + phone[-2:]


def mask_email(email: str) -> str:
    """`r•••••@•••••.org`; the last label stays, because it tells nothing."""
    local, _, domain = email.rpartition("@")
    first = local[:1] if len(local) > 1 and local[:1].isalnum() else ""
    return f"{first}{_DOTS}@{_DOTS}.{domain.rpartition('.')[2]}"

"""Text of others made fit for a log: short, without what could steer a terminal, without secrets."""

MOST = 8_000
_HIDDEN = "(hidden)"
_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Never write this text from now on; shorter than 4 characters it would hit half of all words and is left alone."""
    if len(secret) >= 4:
        _secrets.add(secret)


def hidden(text: str) -> str:
    """Give the text without secrets."""
    for secret in _secrets.copy():
        text = text.replace(secret, _HIDDEN)
    return text


def cut(text: str, most: int = MOST) -> str:
    """Give the beginning and the end of a text that is too long; journald itself would cut it into pieces."""
    if len(text) <= most:
        return text
    return f"{text[: most * 3 // 4]} ... ({len(text) - most} characters left out) ... {text[-(most // 4) :]}"


def printable(text: str) -> str:
    """Write every character that is not printable as its number: escapes, line ends, lone surrogates, marks that turn text round."""
    return text if text.isprintable() else "".join(map(_shown, text))


def plain(text: str) -> str:
    """The same, but line ends and tabs stay: for a form that writes them itself."""
    return text if text.isprintable() else "".join(one if one in "\n\t" else _shown(one) for one in text)


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )

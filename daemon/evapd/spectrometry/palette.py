"""Colours that are told apart with every common kind of colour vision (Okabe and Ito, 2008)."""

BLUE, ORANGE, GREEN, RED, SKY, PURPLE, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#707070",
)  # fmt: skip
IN_ORDER = (BLUE, ORANGE, GREEN, RED, SKY, PURPLE)

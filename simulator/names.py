"""What things are called in a simulated shop."""

from __future__ import annotations

ADJECTIVES = ("classic", "rustic", "sleek", "playful")  # one a style
CATEGORIES = (
    "kitchen", "lighting", "textiles", "tableware", "books", "clothing", "sports", "garden", "toys", "audio", "beauty", "bags",
    "furniture", "stationery", "jewellery", "camping", "tools", "bedding", "shoes", "watches", "tea", "art", "pets", "cycling",
)  # fmt: skip
NOUNS = (  # one a category
    "kettle", "lamp", "rug", "mug", "novel", "jacket", "racket", "planter", "puzzle", "headphones", "serum", "backpack",
    "chair", "notebook", "necklace", "tent", "drill", "pillow", "sneaker", "watch", "teapot", "easel", "leash", "bicycle",
)  # fmt: skip
COLOURS = (
    "amber", "blue", "coral", "dusk", "ebony", "fern", "gold", "hazel", "ivory", "jade", "lilac", "moss", "navy", "olive",
)  # fmt: skip
BRANDS = (
    "Aster", "Birke", "Calla", "Dorne", "Elmo", "Farn", "Ginko", "Holm", "Iris", "Juno", "Kiefer", "Linde",
)  # fmt: skip

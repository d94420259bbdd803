"""A category for a gift from its title: Online Retail has none, and a category is what tastes are seen by.

The table was drawn up from the shop's own titles and read line by line. Rules are tried from the top and the
first whose word occurs decides, so the special stands above the general: a "hot water bottle" is comfort
before a "bottle" is kitchen ware, a "lunch bag" is lunch before a "bag" is a bag. Only the title decides, so
a category is known when the title is.
"""

from __future__ import annotations

import re
from functools import lru_cache

OTHER = "other"

#: Category and the words (or phrases) of a title that put it there, most special first.
RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("seasonal", ("christmas", "xmas", "advent", "santa", "reindeer", "snowflake", "snowflakes", "easter", "bunny")),
    ("comfort", ("hot water bottle", "hand warmer", "plasters", "tissues", "cushion", "quilt", "blanket", "throw")),
    ("comfort", ("slippers", "incense", "soap", "bath", "bathroom set", "sponge", "wash bag", "eye mask")),
    ("signs", ("sign", "sign no")),
    ("lunch and picnic", ("lunch", "picnic", "snack", "snack boxes", "flask", "cool bag", "bottle bag")),
    ("bags", ("bag", "bags", "shopper", "purse", "wallet", "rucksack", "backpack", "handbag", "holdall")),
    ("bags", ("luggage", "suitcase", "passport", "washbag", "tote")),
    ("clocks", ("clock", "clocks", "timer")),
    ("lighting", ("t-light", "t-lights", "tlight", "candle", "candles", "candlestick", "candleholder", "lantern")),
    ("lighting", ("light", "lights", "lamp", "lampshade", "chandelier", "night light", "votive", "tealight")),
    ("hooks and knobs", ("knob", "knobs", "drawer knob", "hook", "hooks", "hanger", "hangers", "coat rack", "peg")),
    ("doormats", ("doormat", "door mat", "mat")),
    ("toys", ("card game", "snap cards", "happy families", "helicopter", "teddy", "teddy bear")),
    ("stationery", ("birthday card", "card", "cards", "gift wrap", "wrap", "notebook", "notebooks", "pencil", "pencils")),
    ("craft", ("sewing", "knitting", "feltcraft", "felt craft", "craft", "embroidery", "buttons", "wool", "crochet")),
    ("baking", ("cake", "cakes", "cakestand", "baking", "cookie", "cutter", "cutters", "jelly moulds", "jelly mould")),
    ("baking", ("recipe", "scales", "measuring", "muffin", "rolling pin", "mould", "whisk", "mixing", "cakestands")),
    ("party", ("bunting", "party", "balloon", "balloons", "napkins", "paper chain", "garland", "doilies", "doiley")),
    ("party", ("paper plates", "paper cups", "streamers", "cocktail", "straws", "banner", "place setting", "popcorn")),
    ("stationery", ("pen", "pens", "stickers", "sticker", "ribbon", "ribbons", "stationery", "tape", "eraser", "erasers")),
    ("stationery", ("crayons", "envelopes", "tags", "memo", "calculator", "ruler", "sketchbook", "journal", "calendar")),
    ("stationery", ("chalk", "magnet", "magnets", "passport cover", "letters", "stamp", "letter", "book", "books", "postcard")),
    ("kitchen", ("mug", "mugs", "cup", "cups", "teacup", "saucer", "saucers", "bowl", "bowls", "plate", "plates", "tea")),
    ("kitchen", ("teapot", "coffee", "cutlery", "jug", "jam", "jar", "jars", "spoon", "spoons", "towel", "towels")),
    ("kitchen", ("apron", "aprons", "tray", "trays", "dish", "egg", "eggs", "milk", "sugar", "oven", "kitchen", "bread")),
    ("kitchen", ("pan", "butter", "toast", "food", "spice", "herb", "pantry", "tumbler", "goblet", "decanter", "placemats")),
    ("kitchen", ("coaster", "coasters", "placemat", "bottle", "opener", "corkscrew", "colander", "washing", "brush", "beaker", "beakers")),
    ("jewellery", ("necklace", "earrings", "bracelet", "bangle", "ring", "brooch", "jewellery", "pendant", "earring")),
    ("jewellery", ("beads", "hair", "hairclip", "hairclips", "charm", "diamante", "bling", "tiara", "pearl", "keyring")),
    ("jewellery", ("key fob", "key ring", "key-ring", "key", "phone charm", "bead")),
    ("toys", ("toy", "toys", "doll", "dolls", "dolly", "game", "games", "puzzle", "puzzles", "dinosaur", "jigsaw")),
    ("toys", ("skipping", "spinning", "playhouse", "soldier", "soldiers", "skittles", "harmonica", "gliders", "glider")),
    ("toys", ("dominoes", "puppet", "puppets", "modelling", "paint", "colouring", "money bank", "piggy", "whistle", "kite")),
    ("toys", ("ball", "balls", "snakes", "ludo", "croquet", "rounders", "animals", "childs", "childrens", "kids", "yo-yo")),
    ("toys", ("drawing", "magic", "robot", "robots", "marbles", "tattoos", "kit", "figures", "jumping", "windmill")),
    ("accessories", ("umbrella", "scarf", "hat", "gloves", "glove", "socks", "poncho", "fan", "parasol", "towelling", "cape")),
    ("garden", ("garden", "gardeners", "gardening", "watering", "plant", "planter", "flower pot", "pot", "pots", "feeder")),
    ("garden", ("bird table", "birdhouse", "bird house", "birdcage", "bird", "trowel", "seed", "shed", "solar", "nesting")),
    ("frames and mirrors", ("frame", "frames", "mirror", "picture", "photo", "album", "chalkboard", "board", "blackboard")),
    ("frames and mirrors", ("canvas", "wall art", "art", "print", "clipboard", "noticeboard")),
    ("storage", ("box", "boxes", "drawer", "drawers", "cabinet", "chest", "basket", "baskets", "bin", "storage", "tidy")),
    ("storage", ("tin", "tins", "rack", "shelf", "shelves", "case", "cases", "container", "hamper", "trunk", "stand")),
    ("storage", ("holder", "crate", "tissue", "caddy", "organiser", "cupboard", "doorstop", "door stop")),
    ("decoration", ("decoration", "decorations", "heart", "hearts", "wreath", "mobile", "ornament", "angel", "wicker")),
    ("decoration", ("flower", "flowers", "rose", "roses", "vase", "star", "stars", "block", "hanging", "sculpture")),
    ("decoration", ("word", "cornice", "trellis", "butterfly", "butterflies", "bell", "chimes", "fairy", "tree")),
    ("decoration", ("glass", "wooden", "metal", "ceramic", "zinc", "wood", "silver", "painted", "doves", "dove")),
    ("furniture", ("chair", "stool", "bench", "seat", "sofa", "screen", "ladder", "curtain", "rug", "hammock", "pouffe")),
)  # fmt: skip

_PATTERNS = tuple(
    (category, re.compile(r"(?<![a-z])(?:" + "|".join(re.escape(word) for word in words) + r")(?![a-z])"))
    for category, words in RULES
)


@lru_cache(maxsize=16_384)  # titles repeat, day after day
def category_of(title: str | None) -> str:
    """The category that a title belongs to; ``other`` where no rule knows it."""
    lowered = (title or "").lower()
    return next((category for category, pattern in _PATTERNS if pattern.search(lowered)), OTHER)

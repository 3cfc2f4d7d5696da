"""Ordinary things that pictures show: what a label's likeness to an image is measured against."""

from __future__ import annotations

from collections.abc import Sequence

from featurelens.search.ordinary_sounds import SOUNDS

WORDS = tuple(
    word.strip()
    for word in """
    dog;cat;horse;cow;sheep;bird;fish;butterfly;insect;elephant;monkey;snake;duck;rabbit;bear;spider;frog;mouse;
    tree;flower;grass;leaf;mushroom;forest;garden;cactus;mountain;river;lake;beach;sea;desert;island;waterfall;cave;
    sky;cloud;sunset;moon;star;rainbow;snow;ice;fire;smoke;rain;rock;sand;soil;shadow;
    man;woman;child;baby;crowd;face;hand;eye;hair;foot;portrait;wedding;concert;meeting;parade;
    shirt;trousers;dress;skirt;coat;shoe;boot;hat;glove;scarf;belt;bag;umbrella;glasses;watch;ring;necklace;
    chair;table;sofa;bed;lamp;desk;shelf;mirror;carpet;curtain;door;window;wall;floor;stairs;kitchen;bathroom;
    cup;plate;bowl;bottle;glass;knife;fork;spoon;pan;kettle;oven;refrigerator;
    bread;cheese;egg;soup;salad;cake;fruit;apple;banana;orange;vegetable;meat;rice;pizza;coffee;wine;
    car;bus;truck;train;bicycle;motorcycle;aeroplane;boat;ship;tractor;helicopter;wheel;
    road;bridge;tunnel;street;house;tower;church;castle;factory;school;shop;station;stadium;fence;farm;
    computer;keyboard;telephone;camera;television;clock;book;newspaper;letter;map;poster;painting;drawing;sculpture;
    diagram;chart;screenshot;text;logo;sign;flag;ticket;stamp;coin;
    guitar;piano;drum;violin;ball;toy;doll;kite;balloon;tent;candle;key;hammer;scissors;rope;ladder;bucket;brush;
    needle;thread;fabric;leather;wood;metal;stone;brick;paper;plastic;pattern;texture;microscope;bone;x-ray scan
    """.replace("\n", " ").split(";")
)


def ordinary(labels: Sequence[str], modality: str = "image") -> list[str]:
    """The words that say something else than the labels: those that share a word with one of them are left out.

    For the modality "sound" they name what one hears.

    >>> "cat" in ordinary(["black cats"]), "dog" in ordinary(["black cats"])
    (False, True)
    """
    said = {_stem(word) for label in labels for word in label.lower().replace("-", " ").split()}
    words = SOUNDS if modality == "sound" else WORDS
    return [word for word in words if not said & {_stem(part) for part in word.split()}]


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 else word

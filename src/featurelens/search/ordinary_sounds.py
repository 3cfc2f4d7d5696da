"""Ordinary things that one hears: what a label's likeness to a sound is measured against."""

from __future__ import annotations

SOUNDS = tuple(
    one.strip()
    for one in """
    dog barking;cat meowing;cow mooing;sheep bleating;rooster crowing;hen clucking;bird song;crow cawing;owl hooting;
    pigeon cooing;duck quacking;goose honking;frog croaking;cricket chirping;bee buzzing;mosquito;horse neighing;
    hooves;pig grunting;lion roaring;wolf howling;whale song;snake hissing;
    rain;thunder;wind;waves on a shore;stream;waterfall;dripping water;fire crackling;avalanche;rustling leaves;
    snow underfoot;hail;
    man speaking;woman speaking;child speaking;crowd talking;whispering;shouting;laughter;crying baby;coughing;
    sneezing;snoring;breathing;yawning;singing;choir;applause;cheering;footsteps;running;heartbeat;chewing;drinking;
    whistling;finger snapping;clapping;
    door knock;door closing;creaking door;doorbell;key in a lock;window breaking;stairs;lift;vacuum cleaner;
    washing machine;hair dryer;toilet flush;shower;tap running;kettle boiling;frying;chopping;dishes;microwave oven;
    refrigerator hum;blender;clock ticking;alarm clock;telephone ringing;keyboard typing;mouse click;printer;camera
    shutter;page turning;paper tearing;zipper;scissors;coins;can opening;bottle opening;pouring;cork popping;
    car engine;car horn;car passing;truck;bus;motorcycle;bicycle bell;train;train horn;tram;aeroplane;helicopter;
    boat engine;ship horn;siren;brakes;tyres squealing;traffic;reversing alarm;rowing;
    hammer;saw;chainsaw;drill;sanding;engine idling;jackhammer;lawn mower;sewing machine;welding;steam;air
    compressor;electric hum;explosion;fireworks;gunshot;church bells;bell;gong;wind chimes;
    piano;guitar;electric guitar;violin;cello;flute;clarinet;trumpet;saxophone;organ;accordion;harp;drum;cymbal;
    tambourine;xylophone;synthesizer;bass;orchestra;rock music;jazz;electronic music;lullaby;
    sine tone;white noise;static;radio;silence;echo;beep;buzzer;dial tone;basketball;tennis;skateboard;ball bounce
    """.replace("\n", " ").split(";")
)

"""What else may be the case on a site of the fair soak? Kinds, of which each world has some; each is one function of a world.

Each has a chance of its own, so that most worlds have one or two of them and some have none.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from site_simulator.site import BaseLoad, Node, Step
from tests.scenarios.fair_world import QUIET_S, Post, World, proven

SHARE: Final = 0.25
"""Of the worlds are of each kind."""

FIRST_HOURS: Final = (12, 13, 14)
"""All worlds begin at noon."""


def kinds_of(seed: int) -> tuple[str, ...]:
    """What the world of a seed is besides."""
    return tuple(kind for kind in KINDS if random.Random(f"{seed}/{kind}?").random() < SHARE)


def world_of(seed: int, seconds: int, kinds: tuple[str, ...] | None = None) -> World:
    """The world of a seed; of these kinds, or of those that it has by chance."""
    world = World.of(seed, seconds)
    for kind in kinds_of(seed) if kinds is None else kinds:
        world = replace(KINDS[kind](random.Random(f"{seed}/{kind}"), world), kinds=(*world.kinds, kind))
    return world


def _with_posts(world: World, changed: Callable[[Post], Post]) -> World:
    return replace(world, posts=tuple(changed(post) for post in world.posts))


def _restless(rnd: random.Random, world: World) -> World:
    """Cars take nothing for some seconds, minutes, or an hour but for moments, and stay when they are full."""
    last_s = world.seconds - QUIET_S

    def changed(post: Post) -> Post:
        car = post.spec.vehicles[0]
        if rnd.random() < 0.4:
            car = replace(car, need_wh=rnd.uniform(100.0, 2000.0), stays=True)
        times = sorted(rnd.uniform(0.0, last_s) for _ in range(2 * rnd.choice([0, 1, 3])))
        rests = [
            (at, min(until, at + rnd.choice([8.0, 40.0, 200.0, 3600.0])))
            for at, until in zip(times[::2], times[1::2], strict=True)
        ]
        car = replace(car, rests=tuple(rests), says_so=rnd.random() < 0.6)
        return replace(post, spec=replace(post.spec, vehicles=(car,)))

    return _with_posts(world, changed)


def _demanding(rnd: random.Random, world: World) -> World:
    """Some cars need more than 6 A to charge at all, as the site file says."""

    minima_a = {post.station: rnd.choice([6.0, 8.0, 10.0, 13.0]) for post in world.posts}

    def changed(post: Post) -> Post:
        min_a, car = minima_a[post.station], post.spec.vehicles[0]
        car = replace(car, least_a=min_a, max_a=max(min_a, car.max_a))
        fallback_a = post.fallback_a if post.fallback_a >= min_a else 0.0
        return replace(post, spec=replace(post.spec, vehicles=(car,)), fallback_a=fallback_a, min_a=min_a)

    return _with_posts(world, changed)


def _favoured(rnd: random.Random, world: World) -> World:
    """The CSMS gives some cards a higher charging priority and some a lower one, as versions after 1.6 can."""

    def changed(post: Post) -> Post:
        priority = 0 if post.spec.version == "ocpp1.6" else rnd.choice([-2, 0, 0, 1, 5])
        car = replace(post.spec.vehicles[0], card=post.spec.identity)
        return replace(post, spec=replace(post.spec, vehicles=(car,)), priority=priority)

    return _with_posts(world, changed)


def _sunny(rnd: random.Random, world: World) -> World:
    """A roof in place of other loads, with clouds that stay or pass; some cars charge from what it leaves only."""
    least_a, moves = -60.0, []
    sun_a = begins_a = rnd.choice([0.0, 8.0, 15.0, 25.0])
    for at_s in sorted(rnd.uniform(50.0, world.seconds - QUIET_S) for _ in range(rnd.choice([0, 2, 5, 12]))):
        now_a = rnd.choice([0.0, 5.0, 8.0, 12.0, 20.0, 30.0])
        moves.append(Step(at_s, sun_a - now_a, rnd.choice([0.0, 0.0, 30.0])))
        sun_a = now_a
    load = BaseLoad(-begins_a, tuple(moves), least_a=least_a)
    root, *circuits = world.nodes
    world = replace(world, nodes=(replace(root, loads=(load, load, load)), *circuits))

    def changed(post: Post) -> Post:
        takes_it = not post.is_mute and rnd.random() < 0.6
        return replace(post, mode="surplus", fallback_a=0.0) if takes_it else post

    return _with_posts(world, changed)


def _priced(rnd: random.Random, world: World) -> World:
    """Hours differ in what a kWh costs, and some cars charge when it costs least: they may wait, and the others do not for them."""
    cheap = tuple(
        (f"{hour:02}:{rnd.choice([0, 15, 30]):02}", f"{hour:02}:45", rnd.choice([-0.05, 0.1, 0.2, 0.5]))
        for hour in FIRST_HOURS
        if rnd.random() < 0.6
    )

    def changed(post: Post) -> Post:
        waits = post.mode == "normal" and rnd.random() < 0.5
        return replace(post, mode="cheapest") if waits else post

    return replace(_with_posts(world, changed), cheap=cheap or (("23:00", "23:45", 0.2),))


def _switching(rnd: random.Random, world: World) -> World:
    """Some stations have a contactor, with which a car charges on one phase where three do not fit; of some it is known on which one."""
    spec_of, says = {}, {post.station: rnd.random() < 0.7 for post in world.posts}
    for post in world.posts:
        takes_phase = post.spec.version != "ocpp1.6" and rnd.random() < 0.3
        if rnd.random() < 0.7:
            spec_of[post.station] = {"one_phase": rnd.randint(1, 3), "takes_phase_to_use": takes_phase}

    def changed(post: Post) -> Post:
        can = post.spec.phases == 3 and not post.takes_watts and not post.is_mute and post.station in spec_of
        if not can:
            return post
        spec = replace(post.spec, switches_phases=True, **spec_of[post.station])
        return replace(post, spec=spec, says_phase=says[post.station])

    return _with_posts(world, changed)


def _paired(rnd: random.Random, world: World) -> World:
    """Every second outlet is another EVSE of the station before; some of these stations have a fuse of their own, which both share."""
    nodes, posts = list(world.nodes), list(world.posts)
    for number in range(1, len(posts), 2):
        first, second = posts[number - 1], posts[number]
        home = first.spec.circuit
        if rnd.random() < 0.5:
            nodes.append(Node(f"at-{first.spec.identity}", float(rnd.choice([10, 16, 20, 32])), home))
            home = nodes[-1].name
            posts[number - 1] = replace(first, spec=replace(first.spec, circuit=home))
        spec = replace(first.spec, identity=f"{first.spec.identity}/2", circuit=home, vehicles=second.spec.vehicles)
        posts[number] = replace(second, spec=spec, is_mute=first.is_mute, fallback_a=min(second.fallback_a, spec.max_a))
    renamed = {before.spec.identity: after.spec for before, after in zip(world.posts, posts, strict=True)}
    allowances = tuple(
        replace(one, station=renamed[one.station].identity)
        for one in world.allowances
        if one.unit in renamed[one.station].units and one.phases in {None, renamed[one.station].phases}
    )
    found, kept = proven(tuple(nodes), tuple(posts))
    return replace(world, nodes=found, posts=kept, allowances=allowances)


def _delayed(rnd: random.Random, world: World) -> World:
    """Each start and each increase waits a random while, as in Great Britain."""
    return replace(world, delay_s=rnd.choice([60, 600, 1800]))


KINDS: Final[Mapping[str, Callable[[random.Random, World], World]]] = {
    "paired": _paired,
    "restless": _restless,
    "demanding": _demanding,
    "favoured": _favoured,
    "sunny": _sunny,
    "priced": _priced,
    "switching": _switching,
    "delayed": _delayed,
}

"""Colours stay with their driver; colour is never alone."""

from __future__ import annotations

from bench import discovery
from bench.report.palette import OKABE_ITO, VOLUMES, Palette, split


def test_a_driver_has_one_colour_in_every_run() -> None:
    first = Palette(["overlay2@ext4", "native@ext4"])
    second = Palette(["vfs@xfs", "unheard@xfs", "overlay2@btrfs", "native@xfs"])
    assert first.colour("overlay2") == second.colour("overlay2") == first.style("overlay2@xfs").colour


def test_known_drivers_differ() -> None:
    palette = Palette([f"{driver}@ext4" for driver in ("native", "overlay2", "fuse-overlayfs", "vfs", "btrfs", "new")])
    assert len({palette.colour(driver) for driver in palette.drivers}) == len(palette.drivers)


def test_unknown_drivers_get_free_colours_whatever_their_order() -> None:
    one = Palette(["overlay2@ext4", "beta@ext4", "alpha@ext4"])
    other = Palette(["alpha@xfs", "beta@xfs"])
    for driver in ("alpha", "beta"):
        assert one.colour(driver) == other.colour(driver)
        assert one.colour(driver) in OKABE_ITO
    assert one.colour("alpha") != one.colour("beta")
    assert one.colour("overlay2") not in {one.colour("alpha"), one.colour("beta")}


def test_arms_of_one_driver_differ_without_colour() -> None:
    arms = ["overlay2@ext4", "overlay2@xfs", "overlay2@xfs-noreflink", "overlay2,metacopy=on@ext4", "overlay2@odd"]
    palette = Palette(arms)
    looks = [palette.style(arm) for arm in arms]
    assert len({(look.symbol, look.dash) for look in looks}) == len(arms)
    assert len({look.colour for look in looks}) == 1


def test_split() -> None:
    assert split("overlay2,metacopy=on@xfs") == ("overlay2", "overlay2,metacopy=on", "xfs")
    assert split("overlay2") == ("overlay2", "overlay2", "")


def test_an_engines_driver_has_the_colour_of_the_one_it_stands_for_and_marks_of_its_own() -> None:
    kin = {
        "overlay2": ("docker/overlay2", "podman/overlay", "containerd/overlayfs"),
        "vfs": ("docker/vfs", "podman/vfs", "containerd/native"),
        "overlay": ("docker/overlay",),
    }
    palette = Palette(f"{driver}@ext4" for one, engines in kin.items() for driver in (one, *engines))
    for one, engines in kin.items():
        looks = [palette.style(f"{driver}@ext4") for driver in (one, *engines)]
        assert {look.colour for look in looks} == {palette.colour(one)}
        assert len({look.symbol for look in looks}) == len(looks)
    assert len({palette.colour(one) for one in kin}) == len(kin)
    assert [palette.marks(f"{one}@ext4") for one in ("overlay2", *kin["overlay2"])] == [
        *("", "open", "open, dotted", "dotted")
    ]


def test_every_volume_that_keeps_its_place_is_one() -> None:
    assert set(VOLUMES) <= discovery.volumes().keys()

"""Colours stay with their driver; colour is never alone."""

from __future__ import annotations

from bench.report.palette import OKABE_ITO, Palette, split


def test_a_driver_has_one_colour_in_every_run() -> None:
    first = Palette(["overlay2@ext4", "native@ext4"])
    second = Palette(["vfs@xfs", "unheard@xfs", "overlay2@btrfs", "native@xfs"])
    assert first.colour("overlay2") == second.colour("overlay2") == first.style("overlay2@xfs").colour


def test_known_drivers_differ() -> None:
    drivers = ("native", "overlay2", "fuse-overlayfs", "vfs", "btrfs", "new")
    palette = Palette([f"{driver}@ext4" for driver in drivers])
    assert len({palette.colour(driver) for driver in drivers}) == len(drivers)


def test_unknown_drivers_get_free_colours_whatever_their_order() -> None:
    one = Palette(["overlay2@ext4", "beta@ext4", "alpha@ext4"])
    other = Palette(["alpha@xfs", "beta@xfs"])
    for driver in ("alpha", "beta"):
        assert one.colour(driver) == other.colour(driver)
        assert one.colour(driver) in OKABE_ITO
    assert one.colour("alpha") != one.colour("beta")
    assert one.colour("overlay2") not in {one.colour("alpha"), one.colour("beta")}


def test_options_have_open_marks() -> None:
    palette = Palette(["overlay2@ext4", "overlay2,metacopy=on@ext4"])
    plain, option = palette.style("overlay2@ext4"), palette.style("overlay2,metacopy=on@ext4")
    assert (plain.colour, plain.symbol, option.symbol) == (option.colour, "circle", "circle-open")


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
        assert [look.symbol for look in looks] == ["circle", *["circle-open"] * len(engines)]
    assert len({palette.colour(one) for one in kin}) == len(kin)

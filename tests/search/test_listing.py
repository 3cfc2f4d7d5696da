"""Leafing through a gallery: the order of names, the filters, and what is shown while it changes."""

from __future__ import annotations

from featurelens.search import listing as listing_module
from featurelens.search.listing import Listing
from fixtures.drawn import draw, draw_many
from fixtures.galleries import filled


def test_pages_are_slices_of_the_gallery_by_name(tmp_path):
    draw_many(tmp_path / "b", 5)
    draw_many(tmp_path / "a", 4, first=5)
    draw(tmp_path / "Z.png", 20)
    with filled(tmp_path) as gallery:
        everything, listing = gallery.images(), Listing(gallery)
        assert listing.page(0, 100) == (10, everything)
        assert listing.page(3, 4) == (10, everything[3:7])
        assert listing.page(10, 4) == (10, [])
        in_a = [hit for hit in everything if hit.name.startswith("a/")]
        assert listing.page(1, 2, path="a") == (4, in_a[1:3])
        assert listing.page(label="b")[0] == 5
        assert listing.page(path="a", label="b") == (0, [])
        assert listing.contents.labels == ("a", "b")
        assert listing.contents.folders == ("a", "b")


def test_every_folder_is_a_filter_by_its_name(tmp_path):
    """As the page sends it: the name is no pattern."""
    for at, name in enumerate(("[old] photos", "who?", "2*3", "plain")):
        draw_many(tmp_path / name / "below", 2, first=2 * at)
    with filled(tmp_path) as gallery:
        listing = Listing(gallery)
        for folder in listing.contents.folders:
            total, some = listing.page(path=folder)
            assert total == 2, folder
            assert all(hit.name.startswith(folder) for hit in some)


def test_images_by_id_and_by_name(tmp_path):
    draw_many(tmp_path, 3)
    with filled(tmp_path) as gallery:
        listing = Listing(gallery)
        first, _, third = gallery.images()
        assert listing.hits([third.id, 99, first.id]) == [third, first]
        assert listing.named(["002.png", "none.png"]) == {"002.png": third}
        assert listing.labels() == {}


def test_a_small_gallery_is_shown_as_it_is_now(tmp_path):
    draw_many(tmp_path, 3)
    with filled(tmp_path) as gallery:
        listing = Listing(gallery)
        assert listing.page()[0] == 3
        draw(tmp_path / "new.png", 9)
        (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
        gallery.update()
        assert listing.page()[0] == 4
        assert listing.contents.skipped == 1
        (tmp_path / "000.png").unlink()
        gallery.update()
        assert [hit.name for hit in listing.page()[1]] == ["001.png", "002.png", "new.png"]


def test_names_are_read_again_only_when_something_changed_and_rarely_where_that_takes_long(
    tmp_path, monkeypatch
):
    draw_many(tmp_path, 3)
    reads = []
    read = listing_module._read
    monkeypatch.setattr(listing_module, "_read", lambda connection: reads.append(1) or read(connection))
    monkeypatch.setattr(listing_module, "_SMALL", 0)
    monkeypatch.setattr(listing_module, "_PATIENCE", 10**9)
    with filled(tmp_path) as gallery:
        listing = Listing(gallery)
        for _ in range(5):
            assert listing.page()[0] == 3
        assert len(reads) == 1
        draw(tmp_path / "new.png", 9)
        gallery.update()
        total, hits = listing.page()
        assert (total, len(hits), len(reads)) == (3, 3, 1)  # a moment ago
        assert gallery.search(1, k=9)[-1].name  # the search itself is always as of now
        assert len(gallery.search(1, k=9)) == 4

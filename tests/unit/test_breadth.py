from avatar.breadth import Breadth


def test_a_round_gets_narrower_while_its_pictures_are_late_and_has_one_at_least():
    breadth = Breadth(8)
    assert breadth.streams == 8
    widths = []
    for _ in range(20):
        breadth.made(-0.001)
        widths.append(breadth.streams)
    assert widths == sorted(widths, reverse=True) and widths[-1] == 1


def test_it_gets_as_broad_as_before_when_they_are_in_time():
    breadth = Breadth(8)
    for _ in range(20):
        breadth.made(-0.2)
    for _ in range(71):
        breadth.made(0.0)
    assert breadth.streams == 8


def test_one_that_is_late_now_and_then_does_not_keep_it_narrow():
    breadth = Breadth(8)
    for _ in range(100):
        breadth.made(-0.1)
        for _ in range(9):
            breadth.made(0.05)
    assert breadth.streams == 8

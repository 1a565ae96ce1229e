"""The grid router's compiled part: nets on a grid of four layers, by negotiated congestion (PathFinder) and A*.

Layers 0 and 2 run in x, 1 and 3 in y; layer 2 has tracks at even y alone, layer 3 at even x. A net is a tree of nodes.
Two nets may not claim one place: on layer 0 a place is a node, on the others the gap between two nodes of a track, for
wires end in vias there, and need a free node between them; on layer 0 vias claim the gaps beside them across the track.
"""

import numpy as np
from numba import njit

__all__ = ["FREE", "GAPS", "LAYERS", "route_net"]

LAYERS = 4
GAPS = 5
"""Kinds of places that nets claim: nodes of layer 0, gaps along layers 1 to 3, gaps between vias on layer 0."""
FREE = -1
"""Owner of a node that any net may use; another number is the one net that may, or `BLOCKED`."""


@njit(cache=True, inline="always")
def _claim(kind, x, y, nx, ny):
    return (kind * nx + x) * ny + y


@njit(cache=True)
def _places(layer, x, y, nx, ny, out):
    """Places that a node claims, one or two, into `out`; how many."""
    if layer == 0:
        out[0] = _claim(0, x, y, nx, ny)
        return 1
    out[0] = _claim(layer, x, y, nx, ny)
    back_x, back_y = (x - 1, y) if layer == 2 else (x, y - 1)
    if back_x < 0 or back_y < 0:
        return 1
    out[1] = _claim(layer, back_x, back_y, nx, ny)
    return 2


@njit(cache=True)
def _via_places(x, y, nx, ny, out):
    """Places that a via between layers 0 and 1 claims on layer 0 beside its node."""
    out[0] = _claim(4, x, y, nx, ny)
    if y == 0:
        return 1
    out[1] = _claim(4, x, y - 1, nx, ny)
    return 2


@njit(cache=True, inline="always")
def _price(place, net, taken, history, mine, factor):
    """Of one place: its history and how many others have it; nothing where the net has it already."""
    if mine[place] == net:
        return 0.0
    return history[place] + factor * taken[place]


@njit(cache=True)
def _push(keys, nodes, size, key, node):
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if keys[above] <= key:
            break
        keys[at], nodes[at] = keys[above], nodes[above]
        at = above
    keys[at], nodes[at] = key, node
    return size + 1


@njit(cache=True)
def _pop(keys, nodes, size):
    size -= 1
    key, node = keys[size], nodes[size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= key:
            break
        keys[at], nodes[at] = keys[below], nodes[below]
        at = below
    keys[at], nodes[at] = key, node
    return size


@njit(cache=True)
def _take(node, via, net, shape, mine, places, list_, count):
    """Mark the places of a node, or of the via between it and the one above, as the net's; the new length of the list
    of its claims."""
    nx, ny = shape
    y = node % ny
    x = node // ny % nx
    layer = node // (nx * ny)
    n = _via_places(x, y, nx, ny, places) if via else _places(layer, x, y, nx, ny, places)
    for k in range(n):
        if mine[places[k]] != net:
            mine[places[k]] = net
            list_[count] = places[k]
            count += 1
    return count


@njit(cache=True)
def _search(net, target, box, shape, owner, via_owner, taken, history, mine, in_tree, frame, costs, factor, work):
    """Cheapest way from a node of the tree (`in_tree[node] == net`) to `target`; searched backwards from there.

    frame: of the tree, for the heuristic. Returns the tree's node that was met, or -1; `work` has the ways back.
    """
    nx, ny = shape
    far, seen, back, keys, nodes, places, stamp = work
    step_x, step_y, via_cost, low = costs
    mark = stamp[0] + 1
    stamp[0] = mark
    plane = nx * ny
    size = _push(keys, nodes, 0, 0.0, target)
    far[target], seen[target], back[target] = 0.0, mark, -1
    while size > 0:
        key, node = keys[0], nodes[0]
        size = _pop(keys, nodes, size)
        if in_tree[node] == net:
            return node
        y = node % ny
        x = node // ny % nx
        layer = node // plane
        done = far[node]
        away = max(frame[0] - x, 0, x - frame[1]) * step_x + max(frame[2] - y, 0, y - frame[3]) * step_y
        if key > done + away + 1e-3:
            continue
        for way in range(4):
            up = 0
            to_x, to_y, to = x, y, layer
            if way < 2:
                step = 1 if way == 0 else -1
                if layer % 2 == 0:
                    to_x = x + step
                    price = step_x
                else:
                    to_y = y + step
                    price = step_y
                if layer == 0:
                    price *= low
            else:
                up = 1 if way == 2 else -1
                to = layer + up
                price = via_cost
            if to < 0 or to > 3 or to_x < box[0] or to_x > box[1] or to_y < box[2] or to_y > box[3]:
                continue
            if (to == 2 and to_y % 2) or (to == 3 and to_x % 2):
                continue
            other = (to * nx + to_x) * ny + to_y
            if owner[other] != -1 and owner[other] != net:
                continue
            if up != 0:
                lower = node if up == 1 else other
                if via_owner[lower] != -1 and via_owner[lower] != net:
                    continue
                if lower < plane:
                    for k in range(_via_places(to_x, to_y, nx, ny, places)):
                        price += _price(places[k], net, taken, history, mine, factor)
            if in_tree[other] != net:
                for k in range(_places(to, to_x, to_y, nx, ny, places)):
                    price += _price(places[k], net, taken, history, mine, factor)
            total = done + price
            if seen[other] == mark and far[other] <= total + 1e-4:
                continue
            far[other], seen[other], back[other] = total, mark, node
            ahead = max(frame[0] - to_x, 0, to_x - frame[1]) * step_x
            ahead += max(frame[2] - to_y, 0, to_y - frame[3]) * step_y
            if size >= len(keys):
                return -1
            size = _push(keys, nodes, size, total + ahead, other)
    return -1


@njit(cache=True)
def _join(node, net, pin_nodes, pin_starts, pin_at, done, shape, mine, in_tree, frame, places, claims, count):
    """A node becomes part of the tree, and with it the whole pin that it lies on; the new number of claims."""
    if in_tree[node] == net:
        return count
    pin = pin_at[node]
    first, last = 0, 1
    if pin >= 0:
        first, last = pin_starts[pin], pin_starts[pin + 1]
        done[pin] = True
    nx, ny = shape
    for k in range(first, last):
        one = node if pin < 0 else pin_nodes[k]
        if in_tree[one] == net:
            continue
        in_tree[one] = net
        y = one % ny
        x = one // ny % nx
        frame[0], frame[1] = min(frame[0], x), max(frame[1], x)
        frame[2], frame[3] = min(frame[2], y), max(frame[3], y)
        count = _take(one, False, net, shape, mine, places, claims, count)
    return count


@njit(cache=True)
def _way(net, target, margin, frame, box, shape, owner, via_owner, taken, history, mine, in_tree, costs, factor, work):
    """`_search` within `margin` of the tree and the target, then within four times that, then anywhere."""
    nx, ny = shape
    y = target % ny
    x = target // ny % nx
    for wide in (margin, 4 * margin, 1 << 20):
        box[0], box[1] = max(0, min(frame[0], x) - wide), min(nx - 1, max(frame[1], x) + wide)
        box[2], box[3] = max(0, min(frame[2], y) - wide), min(ny - 1, max(frame[3], y) + wide)
        met = _search(
            net, target, box, shape, owner, via_owner, taken, history, mine, in_tree, frame, costs, factor, work
        )
        if met >= 0:
            return met
    return -1


@njit(cache=True)
def _take_stacks(links, edges, net, shape, mine, claims, count):
    """Where a via down and a via up meet on layer 2 without a wire, metal is added for the least area: it claims one
    gap more on either side. The new number of claims."""
    nx, ny = shape
    plane = nx * ny
    for k in range(links):
        node = min(edges[k, 0], edges[k, 1])
        if node // plane != 2 or max(edges[k, 0], edges[k, 1]) // plane != 3:
            continue
        is_stack, is_wired = False, False
        for j in range(links):
            for end in range(2):
                if edges[j, end] == node:
                    other = edges[j, 1 - end] // plane
                    is_stack, is_wired = is_stack or other == 1, is_wired or other == 2
        x = node // ny % nx
        if is_stack and not is_wired:
            for at in (x - 2, x + 1):
                place = _claim(2, at, node % ny, nx, ny)
                if 0 <= at < nx and mine[place] != net:
                    mine[place] = net
                    claims[count] = place
                    count += 1
    return count


@njit(cache=True)
def route_net(
    net, pin_nodes, pin_starts, shape, owner, via_owner, taken, history, mine, in_tree, pin_at, costs, factor, margin,
    work, edges, claims,
):  # fmt: skip
    """One net routed, pins in their order; no other net's claims are changed, nor its own counted in `taken`.

    pin_nodes: of pin k from `pin_starts[k]` on. edges: pairs of nodes, filled; claims: places, filled. Returns how many
    edges and claims there are, and how many pins were not reached.
    """
    plane = shape[0] * shape[1]
    pins = len(pin_starts) - 1
    places, back = work[5], work[2]
    done = np.zeros(pins, dtype=np.bool_)
    frame = np.array([1 << 30, -1, 1 << 30, -1])
    box = np.empty(4, dtype=np.int64)
    for pin in range(pins):
        for k in range(pin_starts[pin], pin_starts[pin + 1]):
            pin_at[pin_nodes[k]] = pin
    around = (pin_nodes, pin_starts, pin_at, done, shape, mine, in_tree, frame, places, claims)
    count = _join(pin_nodes[0], net, *around, 0)
    links, unreached = 0, 0
    for pin in range(1, pins):
        if done[pin]:
            continue
        node = _way(
            net, pin_nodes[pin_starts[pin]], margin, frame, box, shape, owner, via_owner, taken, history, mine,
            in_tree, costs, factor, work,
        )  # fmt: skip
        if node < 0:
            unreached += 1
            continue
        while node >= 0:
            count = _join(node, net, *around, count)
            onward = back[node]
            if onward >= 0:
                edges[links, 0], edges[links, 1] = node, onward
                links += 1
                if node // plane + onward // plane == 1:
                    count = _take(min(node, onward), True, net, shape, mine, places, claims, count)
            node = onward
    count = _take_stacks(links, edges, net, shape, mine, claims, count)
    for k in range(len(pin_nodes)):
        pin_at[pin_nodes[k]] = in_tree[pin_nodes[k]] = -1
    for k in range(links):
        in_tree[edges[k, 0]] = in_tree[edges[k, 1]] = -1
    for k in range(count):
        mine[claims[k]] = -1
    return links, count, unreached

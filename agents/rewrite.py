"""A rewrite of compiled updates that torch.compile does not make by itself.

The transition model convolves K times with the same weights, one step after the other. The gradient of these is a sum of K,
each of products too small for a GPU. Taken of all steps as one batch it is the same sum in another order.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from operator import getitem
from typing import Any

import torch
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files
from torch.fx import Graph, Node
from torch.fx.node import map_arg

aten = torch.ops.aten
CAST = torch.ops.prims.convert_element_type.default
MASK = 10  # where aten.convolution_backward is told which of its three gradients are wanted: input, weight, bias


class OneWeightGradient(CustomGraphPass):
    """Of convolutions with the same weights on inputs of one shape compute the weights' gradient at once."""

    def __call__(self, graph: Graph) -> None:
        """Rewrite `graph`, forward and backward of a function together, in place."""
        groups: dict[Hashable, list[tuple[Node, Node]]] = defaultdict(list)
        for node in graph.find_nodes(op="call_function", target=aten.convolution_backward.default):
            above, value, weight, *how = node.args
            shapes = (tuple(each.meta["val"].shape) for each in (above, value))
            found = ((node, user) for user in node.users if user.args[1] == 1)  # the gradient of its weights, if it is used
            source = weight.args[0] if weight.target == CAST else weight
            groups[source, *shapes, str(how[:-1])].extend(found)
        for pairs in groups.values():
            if len(pairs) > 1 and len({_sum(_term(gradient)) for _, gradient in pairs}) == 1:
                _merge(graph, *zip(*pairs, strict=True))

    def uuid(self) -> bytes:
        """What the compiler's cache knows this rewrite by."""
        return get_hash_for_files((__file__,))


def _term(gradient: Node) -> Node:
    """What is added up: `gradient`, or that as float32 where convolutions are carried out in bfloat16."""
    users = list(gradient.users)
    return users[0] if [user.target for user in users] == [CAST] else gradient


def _sum(node: Node) -> Node:
    """The sum that `node` ends in, through additions whose terms are used nowhere else; `node` itself if there is none."""
    while len(node.users) == 1 and (user := next(iter(node.users))).target == aten.add.Tensor:
        terms = {term for term in user.args if isinstance(term, Node)}
        if user.kwargs or len(terms) < 2:  # scaled, doubled, or beside a number
            break
        node = user
    return node


def _call(graph: Graph, function: Callable[..., Any], *args: Any) -> Node:
    """A call of `function` in `graph`, with what it gives, as a tensor without storage, which later passes read."""
    node = graph.call_function(function, args)
    node.meta["val"] = function(*map_arg(args, lambda each: each.meta["val"]))
    return node


def _merge(graph: Graph, nodes: Sequence[Node], gradients: Sequence[Node]) -> None:
    """Replace the terms `gradients`, of the convolutions' backward `nodes`, by their sum in the place of the last one."""
    last, term = nodes[-1], gradients[-1]
    with graph.inserting_before(last):
        stacked = [_call(graph, aten.cat.default, [node.args[i] for node in nodes]) for i in (0, 1)]
        whole = _call(graph, aten.convolution_backward.default, *stacked, *last.args[2:MASK], [False, True, False])
        term.replace_all_uses_with(_call(graph, getitem, whole, 1))
    for added in map(_term, gradients[:-1]):
        addition = next(iter(added.users))
        (other,) = (each for each in addition.args if each is not added)
        addition.replace_all_uses_with(other)
        graph.erase_node(addition)
    for node, gradient in zip(nodes, gradients, strict=True):
        for user in [*gradient.users, gradient]:
            graph.erase_node(user)
        node.args = (*node.args[:MASK], [node.args[MASK][0], False, node.args[MASK][2]])

"""Joins what comes back for a ClientMessage, a ServerResponse or an ICMP error, to it, while the frames arrive."""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter

from ipl_tui.capture.frames import NO_TIME, Batch
from ipl_tui.capture.store import Store
from ipl_tui.packets.link_layer import network_layer
from ipl_tui.packets.messages import CLIENT_MESSAGE, SERVER_RESPONSE
from ipl_tui.tracking.matching import quoted_by, read_error, read_message

LATEST_ANSWER = 15_000_000_000
"""Longest time after its request, in ns, that a response still answers it."""

SOON = 1_000_000_000
"""Age, in ns, that a request may at least reach before its answer is rather taken for that to a younger one."""

MOST_JOINS = 100_000
MOST_WAITING = 10_000

MESSAGES = CLIENT_MESSAGE, SERVER_RESPONSE
"""Bytes in a frame that is joined: all others are passed over."""

Conversation = tuple[int, bytes, bytes]
"""The interface, and the addresses of client and server."""


@dataclass(frozen=True, slots=True)
class MatchedRequest:
    """The request that a ServerResponse answers, or an ICMP error is about."""

    request: int
    """Number of the ClientMessage's frame."""
    delay: int
    """From the request to the response, in ns."""
    error: tuple[int, int] | None = None
    """Type and code of an ICMP error; None for a ServerResponse."""
    again: bool = False
    """True if the request had been answered before: probably two servers listen there."""


class Answers:
    """A tap for Store.taps: called in the thread that appends, asked from any.

    A response goes to the oldest unanswered request of the same interface with source and destination swapped, and an
    ICMP error to the oldest that has the addresses it quotes, if that is no more than 15 seconds old. Where a younger
    one waits too, the older is taken for lost once it is older than a second, and than twice what any answer has taken
    for certain. A response for which none waits is a second one to the request that was answered last, if that is no
    older than 15 seconds. The newest 100,000 joins and the newest 10,000 waiting requests are kept. What has no time is
    not joined: nobody knows how old it is.
    """

    def __init__(self, store: Store, gone: Callable[[int, int], object] = lambda interface, time: False) -> None:
        """`gone` tells whether the network knows that a frame went no further, by the number of its interface and its
        time in ns: nothing answers a request that is lost."""
        self._gone = gone
        self._interfaces = store.interfaces
        self._answers: OrderedDict[int, MatchedRequest] = OrderedDict()
        self._responses: OrderedDict[int, int] = OrderedDict()
        self._waiting: OrderedDict[int, tuple[Conversation, int]] = OrderedDict()  # number: who asks whom, when in ns
        self._slowest = 0  # delay in ns of a response that could be to one request only
        self._queues: dict[Conversation, deque[int]] = {}  # the numbers in _waiting, oldest first
        self._answered: OrderedDict[Conversation, tuple[int, int]] = OrderedDict()  # the last one's number and time

    def request_of(self, number: int) -> MatchedRequest | None:
        """Request that the frame of this number answers, if it is a joined response; else None."""
        return self._answers.get(number)

    def response_of(self, number: int) -> int | None:
        """The number of the response to the frame of this number, if it is an answered request."""
        return self._responses.get(number)

    def __call__(self, interface: int, first: int, batch: Batch) -> None:
        """Look for the two messages in a batch whose first frame has this number."""
        linktype = self._interfaces[interface].linktype
        # Searching all bytes at once costs a frame of unrelated traffic nearly nothing.
        found = {position for message in MESSAGES for position in _find(batch, message)}
        for position in sorted(found):
            time, start, captured, _ = batch.records[position]
            if time == NO_TIME:
                continue
            message = _read_message(batch.data[start : start + captured], linktype)
            if message is None:
                continue
            source, destination, payload, error = message
            if error is not None:
                self._answer((interface, source, destination), first + position, time, error)
            elif payload == CLIENT_MESSAGE:
                self._ask((interface, source, destination), first + position, time)
            else:
                self._answer((interface, destination, source), first + position, time)

    def _ask(self, conversation: Conversation, number: int, time: int) -> None:
        self._waiting[number] = conversation, time
        self._queues.setdefault(conversation, deque()).append(number)
        if len(self._waiting) > MOST_WAITING:
            oldest = next(iter(self._waiting.values()))[0]
            self._take(oldest)

    def _answer(self, conversation: Conversation, number: int, time: int, error: tuple[int, int] | None = None) -> None:
        while conversation in self._queues:
            request, asked = self._take(conversation)
            if conversation in self._queues:
                if time - asked > max(SOON, 2 * self._slowest):
                    continue
            elif time - asked <= LATEST_ANSWER:
                self._slowest = max(self._slowest, time - asked)
            if time - asked <= LATEST_ANSWER and (error is not None or not self._gone(conversation[0], asked)):
                self._responses[request] = number
                self._join(number, MatchedRequest(request, time - asked, error))
                if error is None:
                    self._answered[conversation] = request, asked
                    self._answered.move_to_end(conversation)
                    if len(self._answered) > MOST_WAITING:
                        self._answered.popitem(last=False)
                return
        request, asked = self._answered.get(conversation, (0, 0))
        if request and error is None and time - asked <= LATEST_ANSWER:
            self._join(number, MatchedRequest(request, time - asked, again=True))

    def _join(self, number: int, answer: MatchedRequest) -> None:
        self._answers[number] = answer
        if len(self._answers) > MOST_JOINS:
            _, forgotten = self._answers.popitem(last=False)
            if not forgotten.again:
                del self._responses[forgotten.request]

    def _take(self, conversation: Conversation) -> tuple[int, int]:
        """Remove a conversation's oldest waiting request: its number and its time."""
        queue = self._queues[conversation]
        request = queue.popleft()
        if not queue:
            del self._queues[conversation]
        return request, self._waiting.pop(request)[1]


def _find(batch: Batch, message: bytes) -> Iterator[int]:
    """The positions in the batch of the frames that have the message's bytes anywhere in them.

    What a file's batch holds between its frames (other interfaces' frames, block headers) does not count.
    """
    data, records = batch
    if not records:
        return
    _, begin, _, _ = records[0]
    _, last, captured, _ = records[-1]
    end = last + captured
    at = data.find(message, begin, end)
    while at >= 0:
        position = bisect_right(records, at, key=itemgetter(1)) - 1
        _, start, captured, _ = records[position]
        if at + len(message) <= start + captured:
            yield position
        at = data.find(message, max(start + captured, at + 1), end)


def _read_message(frame: bytes, linktype: int) -> tuple[bytes, bytes, bytes, tuple[int, int] | None] | None:
    """Source, destination and payload of a packet that is exactly one of the two messages; with an ICMP error that is
    about a ClientMessage, those that it quotes, and its type and code."""
    packet = frame[network_layer(frame, linktype) :]
    if (message := read_message(packet)) in MESSAGES:
        return packet[12:16], packet[16:20], message, None
    quoted = quoted_by(packet)
    if read_message(quoted) != CLIENT_MESSAGE:
        return None
    error = read_error(packet)
    return quoted[12:16], quoted[16:20], CLIENT_MESSAGE, (error.type, error.code)

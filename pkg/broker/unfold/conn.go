package unfold

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchKey is the number of the fetch request (https://kafka.apache.org/protocol#protocol_api_keys).
	fetchKey = 1
	// lastVersion is the last that names topics; later ones, which the client doesn't speak, pass as they are.
	lastVersion = 12
	// mostKept is how large a buffer is kept for the next response.
	mostKept = 4 << 20
	// mostResponse is what a response that is looked at may have, compressed; the client refuses larger ones.
	mostResponse = 100 << 20
)

// conn is a connection whose fetches bring at most so much.
type conn struct {
	net.Conn
	most int
	in   *bufio.Reader

	mu    sync.Mutex
	asked map[int32]*kmsg.FetchRequest // by correlation id

	passing int      // bytes of a response that passes as it is
	ready   [][]byte // the pieces of one that was made anew, still to be read: they lie in the buffers below
	body    []byte   // the response as it came
	between []byte   // its head, and the lengths of its record sets
	sets    *arena   // the record sets; nil: there are none
}

// arena is a buffer for what a response unfolds to.
type arena struct{ bytes []byte }

// arenas are those that nobody uses: where responses follow each other they are used again, and where nothing comes for a
// while the collector takes them.
var arenas = sync.Pool{New: func() any { return new(arena) }}

// Conn bounds what fetches bring to the client that uses c to most bytes a response, as they lie in the client's memory. The
// client must write each request at once.
func Conn(c net.Conn, most int) net.Conn {
	return &conn{Conn: c, most: most, in: bufio.NewReader(c), asked: map[int32]*kmsg.FetchRequest{}}
}

// Write notes what fetches ask for.
func (c *conn) Write(b []byte) (int, error) {
	if id, request := fetchOf(b); request != nil {
		c.mu.Lock()
		c.asked[id] = request
		c.mu.Unlock()
	}
	return c.Conn.Write(b)
}

// fetchOf reads a request; nil is another one, or a part of one.
func fetchOf(b []byte) (id int32, request *kmsg.FetchRequest) {
	const head = 14 // length, key, version, id and the length of the client's name
	if len(b) < head || int64(binary.BigEndian.Uint32(b)) != int64(len(b)-4) || binary.BigEndian.Uint16(b[4:]) != fetchKey {
		return 0, nil
	}
	request = kmsg.NewPtrFetchRequest()
	request.SetVersion(int16(binary.BigEndian.Uint16(b[6:])))
	if request.Version > lastVersion {
		return 0, nil
	}
	name := max(0, int(int16(binary.BigEndian.Uint16(b[12:]))))
	if len(b) < head+name {
		return 0, nil
	}
	body := b[head+name:]
	if request.IsFlexible() {
		if len(body) == 0 || body[0] != 0 { // tags in the head, of which there are none
			return 0, nil
		}
		body = body[1:]
	}
	if request.ReadFrom(body) != nil {
		return 0, nil
	}
	return int32(binary.BigEndian.Uint32(b[8:])), request
}

// Read gives responses.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.ready) == 0 && c.passing == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.ready) > 0 {
		return c.give(p), nil
	}
	n, err := c.in.Read(p[:min(len(p), c.passing)])
	c.passing -= n
	return n, err
}

// give copies of what is ready, and lets go of the buffers behind the last of it.
func (c *conn) give(p []byte) (n int) {
	for n < len(p) && len(c.ready) > 0 {
		taken := copy(p[n:], c.ready[0])
		n += taken
		if c.ready[0] = c.ready[0][taken:]; len(c.ready[0]) == 0 {
			c.ready = c.ready[1:]
		}
	}
	if len(c.ready) == 0 {
		c.body, c.ready = kept(c.body), nil
		if c.sets != nil {
			arenas.Put(c.sets)
			c.sets = nil
		}
	}
	return n
}

// next begins with a response: its length and id, and of a fetch all of it.
func (c *conn) next() error {
	const head = 8
	first, err := c.in.Peek(head)
	if err != nil {
		if len(first) == 0 {
			return err
		}
		c.passing = len(first) // too little for a response, but not ours to judge
		return nil
	}
	length, id := int64(binary.BigEndian.Uint32(first)), int32(binary.BigEndian.Uint32(first[4:]))
	c.mu.Lock()
	request := c.asked[id]
	delete(c.asked, id)
	c.mu.Unlock()
	if request == nil || length < head-4 || length > mostResponse {
		c.passing = int(length) + 4
		return nil
	}
	_, _ = c.in.Discard(head) // they were peeked at
	c.body = sized(c.body, int(length)-4)
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return err
	}
	c.bounded(id, request)
	return nil
}

// bounded makes the response in c.body ready, within bounds.
func (c *conn) bounded(id int32, request *kmsg.FetchRequest) {
	response := kmsg.NewPtrFetchResponse()
	response.SetVersion(request.Version)
	body := c.body
	if response.IsFlexible() && len(body) > 0 && body[0] == 0 { // tags in the head, of which there are none
		body = body[1:]
	}
	if response.ReadFrom(body) != nil {
		c.splice(id, nil, false) // the client says what is wrong with it
		return
	}
	changes := changesOf(response)
	if len(changes) > 0 {
		c.sets = arenas.Get().(*arena)
		c.sets.bytes = within(request, response, c.most, c.sets.bytes[:0])
	}
	c.splice(id, changes, response.IsFlexible())
}

// sized is a buffer of n bytes, b where that is large enough.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// kept is an empty buffer: b, unless that is too large to be held while nothing comes.
func kept(b []byte) []byte {
	if cap(b) > mostKept {
		return nil
	}
	return b[:0]
}

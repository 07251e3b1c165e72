package telegram

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// Client sends and edits messages, and hears what people do. It starts while Telegram is down, and is safe for concurrent
// use.
type Client struct {
	options Options
	log     *slog.Logger
	metrics *metrics
	wire    wire
	bots    *bots // nil where messages go to the log
	kill    context.CancelFunc
	dead    <-chan struct{}
	health  *health

	mu       sync.Mutex
	lanes    map[int64]*lane
	running  sync.WaitGroup
	all      window
	moved    map[int64]int64 // groups that became supergroups
	seq      uint64
	depth    int
	peers    int // processes of this service
	stopping bool
}

// Document is a file. Telegram takes 50 MB.
type Document struct {
	Name    string
	Content []byte
	Caption Message // without buttons; the caption is 1,024 UTF-16 units at most
}

// MaxDocument is the size of the largest file that a bot may send.
const MaxDocument = 50 << 20

// New makes a client. It doesn't speak to Telegram yet; a wrong token is found out by the first message.
func New(o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	ctx, kill := context.WithCancel(context.Background())
	c := &Client{
		options: o, log: o.Log, kill: kill, dead: ctx.Done(),
		lanes: map[int64]*lane{}, moved: map[int64]int64{}, peers: 1, all: window{length: allWindow},
	}
	if o.Config.Token == "" {
		c.wire = &logWire{log: o.Log}
	} else {
		b, err := newBots(ctx, o.Config, o.Transport)
		if err != nil {
			kill()
			return nil, err
		}
		c.wire, c.bots = b, b
	}
	c.metrics = newMetrics(o.Metrics, o.Service)
	c.health = newHealth(o.Report)
	return c, nil
}

// LogsOnly tells whether there is no token, so that messages go to the log.
func (c *Client) LogsOnly() bool { return c.bots == nil }

// Send queues a message and returns when Telegram has it. When ctx ends first, a message that waits is taken back; one
// that is on its way may still arrive. Errors: ctx's, *RefusedError, ErrRejected, ErrStopped.
func (c *Client) Send(ctx context.Context, chat Chat, m Message, p Priority) (Ref, error) {
	return c.submit(ctx, &job{chat: chat, message: m, priority: p})
}

// Edit replaces a message's text and buttons; an edit that changes nothing succeeds. An edit of the same message that
// still waits is merged into this one. Errors: those of Send, and ErrMessageGone.
func (c *Client) Edit(ctx context.Context, ref Ref, m Message, p Priority) error {
	if ref.ID == 0 {
		return ErrMessageGone
	}
	_, err := c.submit(ctx, &job{chat: ref.Chat, edit: ref.ID, message: m, priority: p})
	return err
}

// SendDocument sends a file; otherwise it is as Send.
func (c *Client) SendDocument(ctx context.Context, chat Chat, d Document, p Priority) (Ref, error) {
	if len(d.Content) == 0 || len(d.Content) > MaxDocument {
		return Ref{}, fmt.Errorf("document %q has %d bytes, Telegram takes 1 to %d: %w", d.Name, len(d.Content), MaxDocument, ErrRejected)
	}
	return c.submit(ctx, &job{chat: chat, message: d.Caption, document: &d, priority: p})
}

func (c *Client) submit(ctx context.Context, j *job) (Ref, error) {
	if err := ctx.Err(); err != nil {
		return Ref{}, err
	}
	if j.message.empty() && j.document == nil {
		return Ref{}, fmt.Errorf("the message is empty: %w", ErrRejected)
	}
	if _, err := keyboardOf(j.message.Buttons); err != nil {
		return Ref{}, err
	}
	if c.options.Instance != "" {
		j.message.Blocks = append([]Block{Line(Italic(c.options.Instance)).Ranked(Head)}, j.message.Blocks...)
	}
	w := &waiter{result: make(chan result, 1)}
	if err := c.enqueue(j, w); err != nil {
		return Ref{}, err
	}
	select {
	case r := <-w.result:
		return r.ref, r.err
	case <-ctx.Done():
		c.forget(w)
		select {
		case r := <-w.result:
			return r.ref, r.err
		default:
			return Ref{}, ctx.Err()
		}
	}
}

// Stop takes no more messages, lets those that wait go out until ctx ends, and then gives up on the rest, whose callers get
// ErrStopped.
func (c *Client) Stop(ctx context.Context) error {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		c.running.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		c.mu.Lock()
		left := c.depth
		c.mu.Unlock()
		err = fmt.Errorf("%d telegram messages were not sent: %w", left, ctx.Err())
	}
	c.kill()
	<-drained
	if c.bots != nil {
		c.bots.close()
	}
	return err
}

package mongodb

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/x/mongo/driver/connstring"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/sourcetest"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func TestSourceKeepsTheContract(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Harness {
		h := &harness{shop: newShop(t, testrig.MongoDB(t))}
		h.link = newLink(t, hostOf(t, h.uri))
		return h
	})
}

// harness is a database that the source reaches through a link that can be cut.
type harness struct {
	*shop
	link *link
}

func (h *harness) Source(_ testing.TB, reporter source.Reporter) source.Source {
	c := h.config("*")
	c.URI = config.Secret(through(h.uri, h.link.addr()))
	return New(Options{Name: "shop-mongo", Config: c, Reporter: reporter})
}

func (h *harness) Write(t testing.TB, changes []sourcetest.Change) {
	for _, c := range changes {
		_, err := h.db.Collection("changes").ReplaceOne(context.Background(), bson.D{{Key: "_id", Value: c.Key}},
			bson.D{{Key: "number", Value: c.Number}}, options.Replace().SetUpsert(true))
		if err != nil {
			t.Errorf("write: %v", err)
			return
		}
	}
}

func (h *harness) Read(t testing.TB, e event.Raw) sourcetest.Change {
	d, err := event.ParseDocumentChange(e.Value)
	if err != nil {
		t.Fatalf("event %s: %v", e.ID, err)
	}
	key, _ := d.After.Lookup("_id").StringValueOK()
	number, _ := d.After.Lookup("number").AsInt64OK()
	return sourcetest.Change{Key: key, Number: int(number)}
}

func (h *harness) Lose(t testing.TB, write func()) {
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(through(h.uri, h.link.addr()))) // which need not be the primary
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	failNext(t, &shop{client: client}, "aggregate", doc("errorCode", codeHistoryLost))
	write()
}

func (h *harness) Cut(testing.TB) (mend func()) { return h.link.cut() }

// shop is a database for one test.
type shop struct {
	uri    string
	client *mongo.Client
	db     *mongo.Database
}

func newShop(t testing.TB, uri string) *shop {
	client, err := mongo.Connect(t.Context(), options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{uri: uri, client: client, db: client.Database(strings.ReplaceAll(testrig.Prefix(t), "-", "_"))}
	t.Cleanup(func() {
		_ = s.db.Drop(context.Background())
		_ = client.Disconnect(context.Background())
	})
	return s
}

// config captures the database's collections that a glob names.
func (s *shop) config(glob string) Config {
	var c Config
	c.SetDefaults()
	c.URI, c.Collections = config.Secret(s.uri), []string{s.db.Name() + "." + glob}
	return c
}

// hostOf is one of the servers that the URI names, or DNS under its name.
func hostOf(t testing.TB, uri string) string {
	c, err := connstring.ParseAndValidate(uri)
	if err != nil {
		t.Fatal(err)
	}
	host := c.Hosts[0]
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "27017")
	}
	return host
}

// through is the URI of the one server that stands behind an address: discovery would lead around it. A certificate is of
// the server's own name, which the address isn't.
func through(uri, addr string) string {
	u, err := url.Parse(uri)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	if u.Scheme == "mongodb+srv" && !q.Has("tls") && !q.Has("ssl") {
		q.Set("tls", "true") // as drivers take it
	}
	if q.Get("tls") == "true" || q.Get("ssl") == "true" {
		q.Set("tlsInsecure", "true")
	}
	q.Del("replicaSet")
	q.Set("directConnection", "true")
	u.Scheme, u.Host, u.Path, u.RawQuery = "mongodb", addr, "/", q.Encode()
	return u.String()
}

func TestOneServerIsReachedThroughALinkWhateverItsAddressIs(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://a:1,b:2/?replicaSet=rs":             "mongodb://127.0.0.1:5/?directConnection=true",
		"mongodb://u:p@a:1/shop?authSource=x&tls=true": "mongodb://u:p@127.0.0.1:5/?authSource=x&directConnection=true&tls=true&tlsInsecure=true",
		"mongodb+srv://u:p@shop.example.test/":         "mongodb://u:p@127.0.0.1:5/?directConnection=true&tls=true&tlsInsecure=true",
	} {
		if got := through(uri, "127.0.0.1:5"); got != want {
			t.Errorf("%s: %s, not %s", uri, got, want)
		}
	}
}

// with is the URI with a further option.
func with(uri, option, value string) string {
	u, err := url.Parse(uri)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set(option, value)
	u.RawQuery = q.Encode()
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// link is a TCP proxy that can be cut.
type link struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newLink(t testing.TB, target string) *link {
	l := &link{target: target, conns: map[net.Conn]bool{}}
	var err error
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		_ = l.listener.Close()
		l.cut()
		l.wg.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

func (l *link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		l.mu.Lock()
		if l.down {
			_, _ = in.Close(), out.Close()
			l.mu.Unlock()
			continue
		}
		l.conns[in], l.conns[out] = true, true
		l.mu.Unlock()
		l.wg.Go(func() { l.copy(in, out) })
		l.wg.Go(func() { l.copy(out, in) })
	}
}

func (l *link) copy(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = from.Close(), to.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, from)
}

func (l *link) cut() (mend func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.conns {
		_ = c.Close()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.down = false
	}
}

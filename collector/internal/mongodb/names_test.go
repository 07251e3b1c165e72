package mongodb

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// An address as Atlas gives it names a deployment, of which DNS tells the servers (SRV) and options (TXT).
func TestServersOfADeploymentAreLookedUpByItsName(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	u, err := url.Parse(s.uri)
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Get("tls") == "true" || q.Get("ssl") == "true" {
		t.Skip("the server's certificate is of another name")
	}
	host, port, err := net.SplitHostPort(hostOf(t, s.uri))
	if err != nil {
		t.Skip("the server's address has no port: ", err)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip4", host)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme, u.Host = "mongodb+srv", "shop.deployments.test"
	var asked atomic.Int64
	serveNames(t, func(name string) dnsmessage.ResourceBody {
		switch name {
		case "SRV _mongodb._tcp.shop.deployments.test.":
			asked.Add(1)
			return &dnsmessage.SRVResource{Port: uint16(number), Target: dnsmessage.MustNewName("node.deployments.test.")}
		case "TXT shop.deployments.test.":
			return &dnsmessage.TXTResource{TXT: []string{"authSource=admin"}}
		case "A node.deployments.test.":
			return &dnsmessage.AResource{A: addresses[0].As4()}
		}
		return nil
	})
	cfg := s.config("*")
	cfg.URI = config.Secret(with(u.String(), "tls", "false"))
	for _, f := range New(Options{Name: "shop-mongo", Config: cfg, Reporter: c}).Check(t.Context()) {
		if f.Err != nil {
			t.Errorf("%s: %v", f.What, f.Err)
		}
	}
	c.run(t, cfg)
	s.insert(t, "carts", doc("_id", 1))
	expect(t, c.await(t, 1), `insert carts {"_id":1}  -> {"_id":1}`)
	if asked.Load() == 0 {
		t.Error("nobody asked DNS")
	}
}

func TestNameThatDNSDoesNotKnowIsToldWithWhatToDo(t *testing.T) {
	serveNames(t, func(string) dnsmessage.ResourceBody { return nil })
	var cfg Config
	cfg.SetDefaults()
	cfg.URI, cfg.Collections = "mongodb+srv://reader:sesame@gone.deployments.test/", []string{"shop.*"}
	s := New(Options{Name: "shop-mongo", Config: cfg, Reporter: newCapture()})
	findings := s.Check(t.Context())
	if len(findings) != 1 || findings[0].Err == nil {
		t.Fatalf("%+v", findings)
	}
	reason, remedy := findings[0].Err.Error(), findings[0].Remedy
	if !strings.Contains(reason, "gone.deployments.test") || !strings.Contains(remedy, "SRV") || strings.Contains(reason, "sesame") {
		t.Errorf("%s; %s", reason, remedy)
	}
	err := s.Run(t.Context(), nil, newCapture().Emit)
	var known interface{ Remedy() string }
	if !errors.As(err, &known) || known.Remedy() != remedy {
		t.Errorf("a run ends with %v", err)
	}
}

// nameServer is the DNS server that this process asks; nil is the machine's.
var nameServer atomic.Pointer[net.UDPAddr]

func dialNames(ctx context.Context, network, address string) (net.Conn, error) {
	if at := nameServer.Load(); at != nil {
		network, address = "udp", at.String()
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// serveNames answers what this process asks DNS until the test ends. know is asked for "A name." and the like; there is no
// such name where it gives nil.
func serveNames(t *testing.T, know func(name string) dnsmessage.ResourceBody) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		packet := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDP(packet)
			if err != nil {
				return
			}
			if answer, err := answerNames(packet[:n], know); err == nil {
				_, _ = conn.WriteToUDP(answer, from) // who doesn't get it asks again
			}
		}
	}()
	nameServer.Store(conn.LocalAddr().(*net.UDPAddr))
	t.Cleanup(func() {
		nameServer.Store(nil)
		_ = conn.Close()
		<-served
	})
}

func answerNames(question []byte, know func(name string) dnsmessage.ResourceBody) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
	for _, q := range m.Questions {
		body := know(strings.TrimPrefix(q.Type.String(), "Type") + " " + q.Name.String())
		if body == nil {
			reply.RCode = dnsmessage.RCodeNameError
			continue
		}
		reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: body})
	}
	return reply.Pack()
}

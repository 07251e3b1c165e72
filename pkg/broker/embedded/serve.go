package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
)

// DefaultListen is a free port on loopback.
const DefaultListen = "127.0.0.1:0"

// ErrInUse is returned when another broker holds the data folder.
var ErrInUse = errors.New("data folder is in use by another broker")

// Options say how a broker is to run.
type Options struct {
	// DataDir holds everything the broker keeps. It is created when missing.
	// Required: a broker that lives in memory grows without bound.
	DataDir string

	// Listen is the loopback host:port to listen on. Default: DefaultListen.
	Listen string

	// AutoCreateTopics makes a topic exist when a client that wishes so asks
	// for it. Off by default: a misspelt topic is then an error.
	AutoCreateTopics bool

	// Log receives what the broker has to say. Default: nothing is logged.
	Log *slog.Logger

	// Ready, where set, is called once with the address that clients connect to.
	Ready func(addr string)
}

// Serve runs a broker until ctx is done, then closes it cleanly and returns nil.
// A panic of the broker takes the whole process with it: see [Start].
func Serve(ctx context.Context, o Options) (err error) {
	if err := o.complete(); err != nil {
		return err
	}
	listener, err := listenLoopback(ctx, o.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()

	if err := os.MkdirAll(o.DataDir, 0o750); err != nil {
		return fmt.Errorf("create the broker's data folder: %w", err)
	}
	unlock, err := lockDir(o.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	session, err := openSession(o.DataDir)
	if err != nil {
		return err
	}
	if session.crashed {
		o.Log.Warn("the embedded broker was not closed the last time: the last records may be missing, and what a transaction left open may hide later ones",
			"data_dir", o.DataDir)
	}

	log := &clusterLog{log: o.Log}
	cluster, err := kfake.NewCluster(o.clusterOpts(listener, log)...)
	if err != nil {
		return fmt.Errorf("start the broker on %q: %w", o.DataDir, err)
	}
	stopHousekeeping := keepHouse(cluster, o.Log, housekeepingInterval)
	addr := listener.Addr().String()
	o.Log.Info("embedded broker listens", "addr", addr, "data_dir", o.DataDir)
	if o.Ready != nil {
		o.Ready(addr)
	}

	<-ctx.Done()
	stopHousekeeping()
	before := log.errors.Load()
	cluster.Close()
	if log.errors.Load() > before { // Close has no other way to say so
		return fmt.Errorf("close the broker on %q: what it keeps could not be written in full; see the log", o.DataDir)
	}
	if err := session.close(); err != nil {
		return err
	}
	o.Log.Info("embedded broker closed", "addr", addr)
	return nil
}

func (o *Options) complete() error {
	if o.DataDir == "" {
		return errors.New("embedded broker: DataDir is required")
	}
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (o *Options) clusterOpts(l net.Listener, log kfake.Logger) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return l, nil }),
		kfake.DataDir(filepath.Join(o.DataDir, "log")),
		// Used on the very first start only; later ones read it back.
		kfake.ClusterID("embedded-" + uuid.NewString()),
		kfake.WithLogger(log),
		noCompactionOfItsOwn,
	}
	if o.AutoCreateTopics {
		opts = append(opts, kfake.AllowAutoTopicCreation())
	}
	return opts
}

// listenLoopback refuses every address that another machine could reach.
func listenLoopback(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: listen address %q: %w", addr, err)
	}
	ip, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("embedded broker: listen address %q: only a loopback address is allowed, as in %s", addr, DefaultListen)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	return l, nil
}

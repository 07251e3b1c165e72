package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"datawatch/deploy/program"
	"datawatch/deploy/shop"
	"datawatch/pkg/broker/embedded"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig/postgres"
)

// demo is the company, datawatch and the terminal that tells about them.
type demo struct {
	out     io.Writer
	telling sync.Mutex // one line at a time
	folder  string
	stack   daemon.Stack // what is to be stopped

	place    place // the addresses of everything
	telegram messenger
	shop     *shop.Shop
	carts    cartsPart
	programs []string // in the order of program.Services, as services
	services []*program.Process
	log      *os.File
}

// place is where everything is; the configuration's template reads it.
type place struct {
	InternalKafka, CompanyKafka, ShopDSN string
	ShopMongo                            string // empty while there is none
	Telegram                             telegramPlace
	Schemas                              string
	Listen                               map[string]string // by service
}

func newDemo(out io.Writer) *demo { return &demo{out: out, place: place{Listen: map[string]string{}}} }

// run starts everything in the order of the flow and tells alerts until ctx is done.
func (d *demo) run(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"a temporary folder", d.makeFolder},
		{"the services' programs", d.build},
		{"PostgreSQL", d.startPostgres},
		{"the two Kafka brokers", d.startBrokers},
		{"the shop", d.openShop},
		{"Telegram", d.startTelegram},
		{"the services", d.startServices},
	} {
		d.say("  %s …", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("start %s: %w", step.what, err)
		}
	}
	d.tellWhereToLook()
	return d.watch(ctx)
}

func (d *demo) close() error { return d.stack.Close() }

func (d *demo) say(format string, args ...any) {
	d.telling.Lock()
	defer d.telling.Unlock()
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

func (d *demo) makeFolder(context.Context) error {
	folder, err := os.MkdirTemp("", "datawatch-demo-")
	if err != nil {
		return err
	}
	d.folder = folder
	d.stack.Push("temporary folder", func(context.Context) error { return os.RemoveAll(folder) })
	// PostgreSQL may run as another user, who must be able to walk through.
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	if d.log, err = os.Create(filepath.Join(folder, "demo.log")); err != nil {
		return err
	}
	d.stack.Push("log", func(context.Context) error { return d.log.Close() })
	d.place.Schemas = filepath.Join(folder, "schemas")
	return os.CopyFS(d.place.Schemas, os.DirFS(filepath.Join(program.SourceTree(), "deploy", "schemas")))
}

func (d *demo) logger(part string) *slog.Logger {
	return slog.New(slog.NewTextHandler(d.log, nil)).With("part", part)
}

func (d *demo) startPostgres(ctx context.Context) error {
	server, err := postgres.Start(ctx, postgres.Options{Dir: filepath.Join(d.folder, "postgres"), Log: d.logger("postgres")})
	if err != nil {
		return err
	}
	d.stack.Push("PostgreSQL", server.Stop)
	if err := server.CreateDatabase(ctx, "shop"); err != nil {
		return err
	}
	d.place.ShopDSN = server.DSN("shop")
	return nil
}

func (d *demo) startBrokers(ctx context.Context) error {
	for _, broker := range []struct {
		name string
		addr *string
	}{{"kafka-internal", &d.place.InternalKafka}, {"kafka-company", &d.place.CompanyKafka}} {
		process, err := embedded.Start(ctx, embedded.StartOptions{DataDir: filepath.Join(d.folder, broker.name), Log: d.logger(broker.name)})
		if err != nil {
			return err
		}
		d.stack.Push(broker.name, process.Stop)
		*broker.addr = process.Addr()
	}
	d.stack.Push("MongoDB", d.carts.stop) // which comes when all the rest is there, and ends behind the shop
	return nil
}

// incidentAfter is how long the shop sells until a job goes wrong, and how long that lasts.
const incidentAfter = 20 * time.Second

// openShop makes tables and topics now, so that the collector finds them; it begins to sell when the services are ready.
func (d *demo) openShop(ctx context.Context) error {
	s, err := shop.Open(ctx, shop.Options{
		DSN: d.place.ShopDSN + "&application_name=order-service", Kafka: []string{d.place.CompanyKafka},
		Pace: 5 * time.Second, Mistakes: 4, Seed: uint64(time.Now().UnixNano()), Log: d.logger("shop"),
	})
	if err != nil {
		return err
	}
	d.shop = s
	selling, stop := context.WithCancel(context.WithoutCancel(ctx))
	closed := make(chan struct{})
	started := make(chan struct{})
	go func() {
		defer close(closed)
		select {
		case <-started:
			var job sync.WaitGroup
			job.Go(func() { s.Incidents(selling, incidentAfter) })
			_ = s.Run(selling) // ends with its context's error
			job.Wait()
		case <-selling.Done():
		}
	}()
	d.telegram.begin = func() { close(started) }
	d.stack.Push("shop", func(ctx context.Context) error {
		stop()
		select {
		case <-closed:
			return s.Close()
		case <-ctx.Done():
			return errors.Join(ctx.Err(), s.Close())
		}
	})
	return nil
}

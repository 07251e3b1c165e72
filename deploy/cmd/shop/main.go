// Command shop runs the made-up shop against a PostgreSQL, a Kafka and a MongoDB, for the demo of the compose file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"datawatch/deploy/shop"
)

func main() { os.Exit(run()) }

func run() int {
	dsn := flag.String("dsn", "", "the shop's PostgreSQL")
	kafka := flag.String("kafka", "", "the shop's Kafka, host:port, several with commas")
	mongodb := flag.String("mongodb", "", "the URI of the shop's MongoDB; empty for a shop without carts")
	pace := flag.Duration("pace", 4*time.Second, "the pause between two purchases")
	mistakes := flag.Int("mistakes", 6, "how many purchases there are to a mistake; 0 for none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("service", "shop")
	o := shop.Options{DSN: *dsn, Pace: *pace, Mistakes: *mistakes, Seed: uint64(time.Now().UnixNano()), Log: log}
	if *kafka != "" {
		o.Kafka = strings.Split(*kafka, ",")
	}
	s, err := shop.Open(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	defer func() { _ = s.Close() }()
	if *mongodb != "" {
		if err := s.OpenCarts(ctx, *mongodb); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			return 1
		}
	}
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

// Command demo shows datawatch at work, with nothing prepared: a made-up company (PostgreSQL, Kafka, where it can be had a
// MongoDB, and a shop that makes mistakes), datawatch's own broker and its three services as users run them, and a Telegram whose chats are a web page.
//
// Everything lives in a temporary folder and on free ports of this machine, and is gone when the demo ends. With
// TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT in the environment the messages go to the real Telegram instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"datawatch/pkg/broker/embedded"
	"datawatch/pkg/testrig/postgres"
)

// The services are started from the main thread: their leash is tied to the thread that started them.
func init() { runtime.LockOSThread() }

func main() {
	embedded.MainIfChild()
	postgres.MainIfChild()
	os.Exit(run())
}

func run() int {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "demo takes no arguments: it runs until Ctrl-C. TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT in the environment use the real Telegram; DATAWATCH_DEMO_LANGUAGE=vi has it speak Vietnamese.")
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := newDemo(os.Stdout)
	err := d.run(ctx)
	if ctx.Err() != nil {
		stop() // a second Ctrl-C ends the demo at once
		fmt.Println("\nstopping …")
	}
	if err := d.close(); err != nil {
		fmt.Fprintln(os.Stderr, "while stopping:", err)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

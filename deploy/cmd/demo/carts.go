package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"datawatch/deploy/program"
	"datawatch/pkg/testrig/mongodb"
)

// cartsPart is the part of the demo that not every machine can have: a MongoDB with carts that become orders. It comes
// while the rest is at work, and the collector is told of it as of any new source: by its configuration and SIGHUP.
type cartsPart struct {
	cancel context.CancelFunc
	ended  chan struct{}
	server *mongodb.Server // once ended is closed; nil where there is none
}

// begin starts the part beside the rest, and says what came of it.
func (c *cartsPart) begin(ctx context.Context, d *demo) {
	ctx, c.cancel = context.WithCancel(ctx)
	c.ended = make(chan struct{})
	go func() {
		defer close(c.ended)
		if err := c.add(ctx, d); err != nil && ctx.Err() == nil {
			d.say("%s", without(err))
		}
	}()
}

// without says why there are no carts, and how to get them.
func without(err error) string {
	if errors.Is(err, mongodb.ErrUnavailable) {
		return fmt.Sprintf("  carts       none: they need a mongod, or Python 3.10 to 3.13 with venv and pip, on the PATH; all else works without (%v)", err)
	}
	return fmt.Sprintf("  carts       none, all else works without: %v", err)
}

func (c *cartsPart) add(ctx context.Context, d *demo) (err error) {
	c.server, err = mongodb.Start(ctx, mongodb.Options{Dir: filepath.Join(d.folder, "mongodb"), Mongod: true, Log: d.logger("mongodb")})
	if err != nil {
		return err
	}
	if err := d.shop.OpenCarts(ctx, c.server.URI()); err != nil {
		return err
	}
	d.place.ShopMongo = c.server.URI()
	if err := d.writeConfiguration(); err != nil {
		return err
	}
	for i, name := range program.Services {
		if name == "collector" {
			if err := d.services[i].Reload(); err != nil {
				return err
			}
		}
	}
	d.say("  carts       %s   customers fill them in MongoDB now; captured as shop-mongo", d.place.ShopMongo)
	return nil
}

// stop ends the part, wherever it is.
func (c *cartsPart) stop(ctx context.Context) error {
	if c.cancel == nil {
		return nil
	}
	c.cancel()
	select {
	case <-c.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.server == nil {
		return nil
	}
	return c.server.Stop(ctx)
}

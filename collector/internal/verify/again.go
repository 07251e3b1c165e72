package verify

import (
	"context"
	"encoding/json"
)

// lookAgain reads the suspects' rows once more, waits until clean has passed that moment, and keeps those whose row clean
// held at no time since. A row that changed meanwhile is looked at again. It returns errEnough where enough differ.
func (c *comparison) lookAgain(ctx context.Context) error {
	for round := 0; len(c.suspects) > 0; round++ {
		before, err := c.present(ctx)
		if err != nil {
			return err
		}
		if err := c.settle(ctx); err != nil {
			return err
		}
		for key, image := range before {
			if c.suspects[key].was[image] {
				delete(c.suspects, key)
			}
		}
		after, err := c.present(ctx)
		if err != nil {
			return err
		}
		gone, err := c.columnGone(ctx)
		if err != nil {
			return err
		}
		for key := range c.suspects {
			switch {
			case after[key] == before[key] && gone:
				c.result.Unsettled++
				delete(c.suspects, key)
			case after[key] == before[key]:
				c.find(key, after[key])
				delete(c.suspects, key)
			case round == maxRounds:
				c.result.Unsettled++
				delete(c.suspects, key)
			}
		}
	}
	if len(c.result.Differences) >= maxDifferences {
		return errEnough
	}
	return nil
}

// settle reads what was committed until now, and what else has come.
func (c *comparison) settle(ctx context.Context) error {
	if err := c.Settle(ctx); err != nil {
		return err
	}
	return c.On(ctx, c.take)
}

// present are the suspects' rows as they are now.
func (c *comparison) present(ctx context.Context) (map[string]digest, error) {
	rows := map[string]digest{}
	for key := range c.suspects {
		raw, err := c.Table.Row(ctx, json.RawMessage(key))
		if err != nil {
			return nil, err
		}
		rows[key] = digest{}
		if raw == nil {
			continue
		}
		if _, rows[key], err = c.read(ctx, raw); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// find reports a row that clean doesn't have as it is.
func (c *comparison) find(key string, image digest) {
	d := Difference{Key: json.RawMessage(key), Kind: Different}
	k := c.latest[key]
	switch {
	case image == digest{}:
		d.Kind = Extra
	case k == nil && !c.Complete:
		c.result.Untold++
		return
	case c.imageOf(key) == digest{}:
		d.Kind = Missing
	}
	if k != nil {
		d.Event = k.id
	}
	c.result.Differences = append(c.result.Differences, d)
}

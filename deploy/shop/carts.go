package shop

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

// Where the carts are.
const (
	CartsDatabase   = "shop"
	CartsCollection = "carts"
)

// carts is what customers fill before they buy: documents in a MongoDB. They make mistakes of their own, which need no
// seed: every so many carts one, the kinds in turn.
type carts struct {
	client     *mongo.Client
	collection *mongo.Collection
	every      int // carts to a mistake, 0 for none
	filled     int
	mistakes   int
}

// cartMistake is what can go wrong with a cart.
type cartMistake int

const (
	cartIsFine     cartMistake = iota
	priceIsText                // a price that is the text of a number
	orderIsMissing             // an ordered cart doesn't say which order it became
	kindsOfCarts   = iota
)

// cart is one customer's cart at work; the zero value is of a shop without carts.
type cart struct {
	id    primitive.ObjectID
	wrong cartMistake
}

// OpenCarts has customers fill carts in the MongoDB from now on. It may be called while the shop sells.
func (s *Shop) OpenCarts(ctx context.Context, uri string) error {
	client, err := mongo.Connect(ctx, options.Client().ApplyURI(uri).SetAppName("cart-service").SetTimeout(10*time.Second))
	if err != nil {
		return fmt.Errorf("shop's MongoDB: %w", err)
	}
	c := &carts{client: client, collection: client.Database(CartsDatabase).Collection(CartsCollection), every: s.options.Mistakes}
	// An index makes the collection, so that it is there before its first cart.
	if _, err := c.collection.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "status", Value: 1}}}); err != nil {
		_ = client.Disconnect(ctx) // it has done nothing
		return fmt.Errorf("create the shop's carts: %w", err)
	}
	if old := s.carts.Swap(c); old != nil {
		return old.client.Disconnect(ctx)
	}
	return nil
}

// fill puts a customer's goods into a new cart, one after the other. Without carts, or without the MongoDB, they are
// bought all the same.
func (s *Shop) fill(ctx context.Context, customer string, lines []line) cart {
	c := s.carts.Load()
	if c == nil {
		return cart{}
	}
	filled, err := c.fill(ctx, customer, lines)
	if err != nil && ctx.Err() == nil {
		s.options.Log.Warn("cart failed", "error", err)
	}
	return filled
}

// checkOut notes that a cart became an order.
func (s *Shop) checkOut(ctx context.Context, filled cart, order int64) {
	c := s.carts.Load()
	if c == nil || filled.id.IsZero() {
		return
	}
	if err := c.checkOut(ctx, filled, order); err != nil && ctx.Err() == nil {
		s.options.Log.Warn("cart failed", "error", err)
	}
}

func (c *carts) next() cartMistake {
	c.filled++
	if c.every == 0 || c.filled%c.every != min(2, c.every-1) {
		return cartIsFine
	}
	c.mistakes++
	return cartMistake(1 + (c.mistakes-1)%(kindsOfCarts-1))
}

func (c *carts) fill(ctx context.Context, customer string, lines []line) (cart, error) {
	filled := cart{id: primitive.NewObjectID(), wrong: c.next()}
	for i, l := range lines {
		price, err := primitive.ParseDecimal128(l.Price.String())
		if err != nil {
			return cart{}, err
		}
		item := bson.D{{Key: "sku", Value: l.SKU}, {Key: "price", Value: price}, {Key: "quantity", Value: l.Quantity}}
		if filled.wrong == priceIsText && i == len(lines)-1 {
			item[1].Value = l.Price.String()
		}
		if i == 0 {
			_, err = c.collection.InsertOne(ctx, bson.D{
				{Key: "_id", Value: filled.id}, {Key: "customer", Value: customer}, {Key: "status", Value: "open"},
				{Key: "items", Value: bson.A{item}}, {Key: "updated_at", Value: time.Now()},
			})
		} else {
			_, err = c.collection.UpdateByID(ctx, filled.id, bson.D{
				{Key: "$push", Value: bson.D{{Key: "items", Value: item}}}, {Key: "$set", Value: bson.D{{Key: "updated_at", Value: time.Now()}}},
			})
		}
		if err != nil {
			return cart{}, fmt.Errorf("fill a cart: %w", err)
		}
	}
	return filled, nil
}

func (c *carts) checkOut(ctx context.Context, filled cart, order int64) error {
	set := bson.D{{Key: "status", Value: "ordered"}, {Key: "updated_at", Value: time.Now()}}
	if filled.wrong != orderIsMissing {
		set = append(set, bson.E{Key: "order_id", Value: order})
	}
	if _, err := c.collection.UpdateByID(ctx, filled.id, bson.D{{Key: "$set", Value: set}}); err != nil {
		return fmt.Errorf("check out cart %s: %w", filled.id.Hex(), err)
	}
	return nil
}

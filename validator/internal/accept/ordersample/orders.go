// Package ordersample is the traffic that speed is measured on: orders of 560 bytes, 20 properties and 3 items, with the
// schema and the rules that people write for such rows. It is for tests and benchmarks.
package ordersample

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"datawatch/pkg/event"
)

// Stream is whose rows they are, and RightTotal the total that adds up.
const (
	Stream     = event.Stream("shop-db/public.orders")
	RightTotal = "172.42"
)

// Schema is the schema file of the stream.
const Schema = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
	"required": ["id", "number", "status", "currency", "total", "items", "created_at"], "additionalProperties": false,
	"properties": {
		"id": {"type": "integer", "minimum": 1}, "number": {"type": "string", "pattern": "^ORD-[0-9]{8}$"},
		"customer_id": {"type": "string", "format": "uuid"}, "email": {"type": "string", "format": "email", "maxLength": 100},
		"status": {"enum": ["new", "paid", "shipped", "cancelled"]}, "currency": {"$ref": "#/$defs/currency"},
		"subtotal": {"$ref": "#/$defs/amount"}, "shipping": {"$ref": "#/$defs/amount"}, "discount": {"$ref": "#/$defs/amount"},
		"tax": {"$ref": "#/$defs/amount"}, "total": {"$ref": "#/$defs/amount"},
		"created_at": {"type": "string", "format": "date-time"}, "updated_at": {"type": "string", "format": "date-time"},
		"paid_at": {"type": ["string", "null"], "format": "date-time"}, "channel": {"enum": ["web", "app", "store"]},
		"country": {"type": "string", "minLength": 2, "maxLength": 2}, "note": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 200}]},
		"priority": {"type": "integer", "minimum": 0, "maximum": 9}, "gift": {"type": "boolean"},
		"items": {"type": "array", "minItems": 1, "maxItems": 50, "items": {"$ref": "#/$defs/item"}}
	},
	"$defs": {
		"currency": {"type": "string", "format": "currency"},
		"amount": {"type": "number", "minimum": 0, "maximum": 1000000, "multipleOf": 0.01},
		"item": {"type": "object", "required": ["sku", "price", "quantity"], "additionalProperties": false, "properties": {
			"sku": {"type": "string", "minLength": 3, "maxLength": 20}, "price": {"$ref": "#/$defs/amount"}, "quantity": {"type": "integer", "minimum": 1}}}
	},
	"x-rules": [
		{"id": "subtotal-adds-up", "rule": "self.subtotal == sum(self.items.map(i, i.price * i.quantity))", "message": "The subtotal isn't the sum of the items"},
		{"id": "total-adds-up", "rule": "self.total == self.subtotal + self.shipping + self.tax - self.discount", "message": "The total doesn't add up"},
		{"id": "stays-paid", "rule": "!(old.status == 'paid' && self.status == 'new')", "message": "A paid order became new"}
	]}`

// SchemaWithoutRules is the same but for x-rules.
func SchemaWithoutRules() string {
	before, _, _ := strings.Cut(Schema, `"x-rules"`)
	return strings.TrimRight(before, ", \n\t") + "}"
}

// Row is the n-th order.
func Row(n int, total string) string {
	return fmt.Sprintf(`{"id":%d,"number":"ORD-%08d","customer_id":"0b8f2c1e-5a77-4f3c-9d1e-%012d","email":"customer.%d@example.com","status":"paid","currency":"EUR",`+
		`"subtotal":149.97,"shipping":4.90,"discount":10.00,"tax":27.55,"total":%s,"created_at":"2026-11-22T23:59:01.123456Z","updated_at":"2026-11-22T23:59:09.5Z",`+
		`"paid_at":"2026-11-22T23:59:07Z","channel":"web","country":"DE","note":null,"priority":3,"gift":false,`+
		`"items":[{"sku":"SKU-1001","price":49.99,"quantity":1},{"sku":"SKU-1002","price":24.99,"quantity":2},{"sku":"SKU-1003","price":12.50,"quantity":4}]}`,
		n+1, n, n, n, total)
}

// Event is the insert of the n-th order.
func Event(n int, total string) *event.Clean {
	at := time.Date(2026, 11, 22, 23, 59, 1, 123456000, time.UTC)
	return &event.Clean{
		ID: event.ID("shop-db", event.TickPosition("20261122T101500Z", int64(n), 0)), Stream: Stream, Type: event.ChangeType,
		Time: at.Format(time.RFC3339Nano),
		Change: &event.Change{
			Op: event.Insert, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, n+1)), After: json.RawMessage(Row(n, total)), CapturedAt: at,
			Origin: event.Origin{
				Kind: event.Postgres, Database: "shop", Schema: "public", Table: "orders", Transaction: "81422", TransactionIndex: 2,
				Position: event.TickPosition("20261122T101500Z", int64(n), 0), Actor: &event.Actor{Application: "order-service", User: "app", Client: "10.2.0.7"},
			},
		},
	}
}

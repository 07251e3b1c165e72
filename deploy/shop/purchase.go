package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
)

var goods = []struct{ sku, name, price string }{
	{"TEA-250", "Green tea, 250 g", "4.99"},
	{"COF-1K", "Coffee beans, 1 kg", "18.50"},
	{"CUP-2", "Two cups", "12.00"},
	{"POT-1", "Tea pot", "34.90"},
	{"FIL-100", "Filter papers, 100", "3.25"},
	{"GRD-X", "Coffee grinder", "149.97"},
}

var customers = []string{"An Nguyễn", "Bình Trần", "Chi Lê", "Dũng Phạm", "Hà Hoàng", "Khánh Vũ", "Lan Đặng", "Minh Bùi"}

// line is one of an order's items, as it stands in the order and in messages.
type line struct {
	SKU      string      `json:"sku"`
	Price    json.Number `json:"price"`
	Quantity int64       `json:"quantity"`
}

// mistake is what can go wrong with a purchase.
type mistake int

const (
	none             mistake = iota
	wrongTotal               // the order's total isn't the sum of its items
	paidTurnsNew             // a paid order turns new again
	currencyMissing          // the message of a payment lacks its currency
	walletOverdrawn          // a wallet falls below zero
	numberOfMistakes = iota
)

// next decides what goes wrong with the purchase that comes: each kind of mistake in turn, the first one soon.
func (s *Shop) next() mistake {
	s.bought++
	if s.options.Mistakes == 0 || s.bought%s.options.Mistakes != min(2, s.options.Mistakes-1) {
		return none
	}
	s.mistakes++
	return mistake(1 + (s.mistakes-1)%(numberOfMistakes-1))
}

// Purchase is one customer's way through the shop: a cart, an order in one transaction, its payment in another, and the messages
// about them. Some orders are cancelled instead of paid.
func (s *Shop) Purchase(ctx context.Context) error {
	wrong := s.next()
	wallet := 1 + s.rand.IntN(len(customers))
	lines := s.basket()
	total := sum(lines)
	if wrong == wrongTotal {
		total.Add(total, big.NewRat(1, 100))
	}
	filled := s.fill(ctx, customers[wallet-1], lines)
	order, err := s.order(ctx, wallet, lines, total)
	if err != nil {
		return fmt.Errorf("order: %w", err)
	}
	s.checkOut(ctx, filled, order)
	if wrong == none && s.rand.IntN(8) == 0 {
		return s.cancel(ctx, order)
	}
	method := []string{"momo", "card", "transfer"}[s.rand.IntN(3)]
	amount := total
	if wrong == walletOverdrawn {
		if amount, err = s.allAndMore(ctx, wallet); err != nil {
			return err
		}
	}
	if err := s.pay(ctx, order, wallet, amount, method); err != nil {
		return fmt.Errorf("pay order %d: %w", order, err)
	}
	if err := s.tell(order, total, method, wrong == currencyMissing); err != nil {
		return err
	}
	switch wrong {
	case paidTurnsNew:
		_, err = s.db.Exec(ctx, `UPDATE orders SET status = 'new' WHERE id = $1`, order)
	case walletOverdrawn:
		_, err = s.db.Exec(ctx, `UPDATE wallets SET balance = balance + 60000 WHERE id = $1`, wallet)
	default:
	}
	return err
}

func (s *Shop) basket() []line {
	lines := make([]line, 1+s.rand.IntN(3))
	first := s.rand.IntN(len(goods))
	for i := range lines {
		g := goods[(first+i)%len(goods)]
		lines[i] = line{SKU: g.sku, Price: json.Number(g.price), Quantity: int64(1 + s.rand.IntN(3))}
	}
	return lines
}

func sum(lines []line) *big.Rat {
	total := new(big.Rat)
	for _, l := range lines {
		price, _ := new(big.Rat).SetString(l.Price.String())
		total.Add(total, price.Mul(price, new(big.Rat).SetInt64(l.Quantity)))
	}
	return total
}

func (s *Shop) order(ctx context.Context, wallet int, lines []line, total *big.Rat) (order int64, err error) {
	items, err := json.Marshal(lines)
	if err != nil {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if s.bought%5 == 0 {
			if _, err := tx.Exec(ctx, `SET LOCAL datawatch.tag = 'checkout-test'`); err != nil {
				return err
			}
		}
		err := tx.QueryRow(ctx, `INSERT INTO orders (wallet_id, customer, status, currency, items, total)
			VALUES ($1, $2, 'new', 'USD', $3, $4::text::numeric) RETURNING id`, wallet, customers[wallet-1], items, total.FloatString(2)).Scan(&order)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if _, err := tx.Exec(ctx, `UPDATE items SET stock = stock - $2 WHERE sku = $1`, l.SKU, l.Quantity); err != nil {
				return err
			}
		}
		return nil
	})
	return order, err
}

func (s *Shop) cancel(ctx context.Context, order int64) error {
	_, err := s.db.Exec(ctx, `UPDATE orders SET status = 'cancelled' WHERE id = $1`, order)
	return err
}

// allAndMore is what a wallet holds, and a little more.
func (s *Shop) allAndMore(ctx context.Context, wallet int) (*big.Rat, error) {
	var balance string
	if err := s.db.QueryRow(ctx, `SELECT (balance + 12.50)::text FROM wallets WHERE id = $1`, wallet).Scan(&balance); err != nil {
		return nil, fmt.Errorf("look into wallet %d: %w", wallet, err)
	}
	amount, ok := new(big.Rat).SetString(balance)
	if !ok {
		return nil, fmt.Errorf("wallet %d holds %q", wallet, balance)
	}
	return amount, nil
}

func (s *Shop) pay(ctx context.Context, order int64, wallet int, amount *big.Rat, method string) error {
	text := amount.FloatString(2)
	return pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		statements := []struct {
			sql  string
			args []any
		}{
			{`UPDATE orders SET status = 'paid', paid_at = now() WHERE id = $1`, []any{order}},
			{`INSERT INTO payments (order_id, amount, method) VALUES ($1, $2::text::numeric, $3)`, []any{order, text, method}},
			{`UPDATE wallets SET balance = balance - $2::text::numeric WHERE id = $1`, []any{wallet, text}},
			{`INSERT INTO ledger (order_id, side, account, amount) VALUES ($1, 'debit', $2, $3::text::numeric)`, []any{order, "wallet:" + strconv.Itoa(wallet), text}},
			{`INSERT INTO ledger (order_id, side, account, amount) VALUES ($1, 'credit', 'cash', $2::text::numeric)`, []any{order, text}},
		}
		for _, st := range statements {
			if _, err := tx.Exec(ctx, st.sql, st.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// tell sends the messages about a payment.
func (s *Shop) tell(order int64, amount *big.Rat, method string, withoutCurrency bool) error {
	if s.kafka == nil {
		return nil
	}
	captured := map[string]any{"order_id": order, "amount": json.Number(amount.FloatString(2)), "currency": "USD", "method": method, "captured_at": time.Now().UTC().Format(time.RFC3339Nano)}
	if withoutCurrency {
		delete(captured, "currency")
	}
	if err := s.send(PaymentsTopic, order, captured); err != nil {
		return err
	}
	return s.send(ShipmentsTopic, order, map[string]any{"order_id": order, "warehouse": "HCM-1"})
}

func (s *Shop) send(topic string, order int64, message map[string]any) error {
	value, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, _, err = s.kafka.SendMessage(&sarama.ProducerMessage{
		Topic: topic, Key: sarama.StringEncoder(strconv.FormatInt(order, 10)), Value: sarama.ByteEncoder(value),
		Headers: []sarama.RecordHeader{{Key: []byte("content-type"), Value: []byte("application/json")}},
	})
	if err != nil {
		return fmt.Errorf("send to %s: %w", topic, err)
	}
	return nil
}

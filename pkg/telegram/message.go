package telegram

import (
	"slices"
	"strings"
)

// maxUnits is how long a message may be, and maxCaption what is written under a document, in UTF-16 units after entities
// are parsed (https://core.telegram.org/bots/api#sendmessage).
const (
	maxUnits   = 4096
	maxCaption = 1024
)

// Message is what is sent. Its first block is what the notification shows.
type Message struct {
	Blocks  []Block
	Buttons [][]Button // rows
	// Silent messages come without sound.
	Silent bool
	// ReplyTo is the id of the message in the same chat that this one answers, or 0. Where that one is gone, the message
	// comes alone.
	ReplyTo int
	// More says how many blocks were left out of a message that was too long; it stands in their place. Nil says nothing.
	More func(dropped int) Block
}

// NewMessage is a message of these blocks.
func NewMessage(blocks ...Block) Message { return Message{Blocks: blocks} }

// HTML is the message as it is sent with the parse mode HTML, no longer than Telegram takes.
func (m Message) HTML() string { return html(m.fitting(maxUnits)) }

// Overflows tells whether blocks are left out of it, because it is longer than Telegram takes.
func (m Message) Overflows() bool { return total(m.Blocks) > maxUnits }

// Plain is the message without formatting, for logs and for a chat that refuses the formatted one.
func (m Message) Plain() string { return plainText(m.fitting(maxUnits)) }

func html(blocks []Block) string {
	var out strings.Builder
	for i, b := range blocks {
		if i > 0 {
			out.WriteByte('\n')
		}
		b.appendHTML(&out)
	}
	return out.String()
}

func plainText(blocks []Block) string {
	var out strings.Builder
	for i, b := range blocks {
		if i > 0 {
			out.WriteByte('\n')
		}
		b.appendPlain(&out)
	}
	return out.String()
}

// fitting are the blocks that stay within most units. Only a first block that is too long by itself is shortened.
func (m Message) fitting(most int) []Block {
	if len(m.Blocks) == 0 || total(m.Blocks) <= most {
		return m.Blocks
	}
	keep := make([]bool, len(m.Blocks))
	length := len(m.Blocks) - 1
	sizes := make([]int, len(m.Blocks))
	for i, b := range m.Blocks {
		keep[i], sizes[i] = true, b.units()
		length += sizes[i]
	}
	reserve := 0
	if m.More != nil {
		reserve = m.More(len(m.Blocks)).units() + 1
	}
	dropped, place := 0, len(m.Blocks)
	for _, i := range m.dropOrder() {
		if length+reserve <= most {
			break
		}
		keep[i] = false
		length -= sizes[i] + 1
		dropped++
		place = min(place, i)
	}
	var out []Block
	for i, b := range m.Blocks {
		if i == place && m.More != nil && length+reserve <= most {
			out = append(out, m.More(dropped))
		}
		if keep[i] {
			out = append(out, b)
		}
	}
	if len(out) == 1 || length > most {
		return []Block{m.Blocks[0].shortened(most)}
	}
	return out
}

// dropOrder are the indexes of the blocks in the order in which they go; the first block isn't among them.
func (m Message) dropOrder() []int {
	order := make([]int, 0, len(m.Blocks))
	for i := len(m.Blocks) - 1; i > 0; i-- {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(m.Blocks[a].rank) - int(m.Blocks[b].rank) })
	return order
}

func total(blocks []Block) int {
	n := len(blocks) - 1
	for _, b := range blocks {
		n += b.units()
	}
	return n
}

// empty tells whether there is nothing to read, which Telegram refuses.
func (m Message) empty() bool { return strings.TrimSpace(m.Plain()) == "" }

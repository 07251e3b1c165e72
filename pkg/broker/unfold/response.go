package unfold

import (
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// perRecord is what a client holds of a record beside its bytes.
const perRecord = 300

// budget is what a response may still hold.
type budget struct {
	most, left int
	any        bool // something is in the response already
	arena      []byte
}

// part is a partition's place in a response.
type part struct {
	set        *[]byte
	from       int64
	start, end int // in the arena
}

// within has a response hold at most so much. It gives back the arena, which the response refers to. Each time another
// partition comes first, so that none is left out for ever.
func within(request *kmsg.FetchRequest, response *kmsg.FetchResponse, most int, arena []byte) []byte {
	asked := map[string]map[int32]int64{}
	for i := range request.Topics {
		offsets := map[int32]int64{}
		for _, p := range request.Topics[i].Partitions {
			offsets[p.Partition] = p.FetchOffset
		}
		asked[request.Topics[i].Topic] = offsets
	}
	var parts []part
	for i := range response.Topics {
		t := &response.Topics[i]
		for j := range t.Partitions {
			if p := &t.Partitions[j]; len(p.RecordBatches) > 0 {
				parts = append(parts, part{set: &p.RecordBatches, from: asked[t.Topic][p.Partition]})
			}
		}
	}
	if len(parts) == 0 {
		return arena
	}
	b := budget{most: most, left: most, arena: arena}
	first := rand.N(len(parts))
	for i := range parts {
		p := &parts[(first+i)%len(parts)]
		p.start = len(b.arena)
		b.partition(*p.set, p.from)
		p.end = len(b.arena)
	}
	for _, p := range parts { // only now: the arena may have moved
		*p.set = b.arena[p.start:p.end]
	}
	return b.arena
}

// partition appends a partition's batches to the arena, until the budget is spent.
func (b *budget) partition(set []byte, from int64) {
	expected := from
	for len(set) > 0 {
		if old, ok := nextMessage(set); ok {
			if goOn := b.message(old, expected); !goOn {
				return
			}
			set, expected = set[len(old):], old.offset()+1
			continue
		}
		next, ok := nextBatch(set)
		if !ok { // cut short by the broker
			if !b.any || len(set) <= b.left {
				b.take(set, 0)
			}
			return
		}
		if goOn := b.batch(next, from); !goOn {
			return
		}
		set, expected = set[len(next):], next.base()+int64(next.lastDelta())+1
	}
}

// take appends what passes as it is.
func (b *budget) take(bytes []byte, records int) {
	b.arena = append(b.arena, bytes...)
	b.spend(len(bytes), records)
}

func (b *budget) spend(bytes, records int) {
	b.any = true
	b.left -= bytes + records*perRecord
}

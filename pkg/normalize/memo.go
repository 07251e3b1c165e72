package normalize

import (
	"encoding/json"
	"sync"
)

// memo remembers what JSON texts say that come again with every record: the shape of a table's rows, a schema.
type memo[T any] struct {
	max    int
	mu     sync.Mutex
	size   int // of the texts
	byText map[string]T
}

// maxMemo bounds the bytes of the texts that are remembered.
const maxMemo = 8 << 20

func newMemo[T any](max int) *memo[T] { return &memo[T]{max: max, byText: map[string]T{}} }

// read decodes a text, or gives what it said before. The result is shared: nobody may change it.
func (m *memo[T]) read(text []byte) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.byText[string(text)]; ok {
		return v, nil
	}
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return v, err
	}
	if len(m.byText) >= m.max || m.size+len(text) > maxMemo {
		clear(m.byText)
		m.size = 0
	}
	m.byText[string(text)] = v
	m.size += len(text)
	return v, nil
}

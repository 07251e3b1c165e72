package life

import (
	"fmt"
	"testing"
	"time"
)

// TestTenThousandGroupsAtOnceAreToldInTime: the machine isn't what makes people wait.
func TestTenThousandGroupsAtOnceAreToldInTime(t *testing.T) {
	s := newScene(t)
	for i := range 10_000 {
		f := s.fails(fmt.Sprintf("g%05d", i), 1, 1)
		f.Origin.Transaction = fmt.Sprint(i % 5000)
	}
	began := time.Now()
	s.settle()
	s.pass(2*time.Second, time.Second)
	if took := time.Since(began); took > 20*time.Second { // some 0.1 s; what grows with the square takes minutes
		t.Errorf("it took %s", took)
	}
	s.hears("new g00000")
	if got := len(s.board.Members("g00000")); got != 9999 {
		t.Errorf("with %d others", got)
	}
}

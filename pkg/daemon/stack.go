package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Stack closes resources in the opposite order of their opening. Push each step right after its resource exists, and
// defer Close.
type Stack struct {
	Log   *slog.Logger
	steps []step
}

type step struct {
	name  string
	close func(context.Context) error
}

// Push adds a step.
func (s *Stack) Push(name string, close func(context.Context) error) {
	s.steps = append(s.steps, step{name, close})
}

// Close runs every step, the last pushed first, within StopTimeout as a whole; a step that fails or takes too long
// doesn't keep the others from running.
func (s *Stack) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), StopTimeout)
	defer cancel()
	var failed []error
	for i := len(s.steps) - 1; i >= 0; i-- {
		started := time.Now()
		if err := s.steps[i].close(ctx); err != nil {
			failed = append(failed, fmt.Errorf("stop %s: %w", s.steps[i].name, err))
		}
		if s.Log != nil {
			s.Log.Debug("stopped", "step", s.steps[i].name, "took", time.Since(started))
		}
	}
	s.steps = nil
	return errors.Join(failed...)
}

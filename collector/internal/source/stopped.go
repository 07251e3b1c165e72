package source

import "datawatch/pkg/reason"

// StoppedError says that a source stopped at a gap, as on_gap: stop wants it: Why there is one, and what to Do about it.
type StoppedError struct{ Why, Do reason.Text }

func (e *StoppedError) Error() string { return e.says().Error() + ": " + e.says().Remedy() }

// Unwrap gives what it says by code.
func (e *StoppedError) Unwrap() error { return e.says() }

func (e *StoppedError) says() *reason.Error {
	return reason.New(reason.Stopped.With(e.Why)).Advise(reason.DoContinue.With(e.Do))
}

package telegram

import (
	"errors"
	"fmt"

	"datawatch/pkg/reason"
)

// Errors of Send and Edit.
var (
	// ErrMessageGone says that the message to edit is not there any more, or can't be edited any more: send a new one.
	ErrMessageGone = errors.New("the message to edit is gone")
	// ErrRejected says that Telegram will never take this message as it is.
	ErrRejected = errors.New("telegram rejected the message")
	// ErrIgnored is what a handler returns for something that it wasn't there for.
	ErrIgnored = errors.New("ignored")
	// ErrStopped says that the client was stopped before the message could go.
	ErrStopped = errors.New("telegram client stopped")
)

// RefusedError says that a chat can't be reached until somebody mends it: a wrong token, a bot that was removed, a chat
// that doesn't exist.
type RefusedError struct {
	Chat   Chat
	Reason string // in Telegram's words
	Remedy reason.Text
}

// Unwrap gives what it says by code.
func (e *RefusedError) Unwrap() error {
	return reason.New(reason.TelegramRefused.With(e.Chat.ID, reason.Quote(e.Reason), e.Remedy))
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("telegram chat %d: %s (%s)", e.Chat.ID, e.Reason, e.Remedy)
}

package telegram

import (
	"context"
	"encoding/json"
	"fmt"
)

// BotCommand is one that Telegram offers to people who type a slash.
type BotCommand struct {
	Name        string `json:"command"` // without the slash
	Description string `json:"description"`
}

// Announce has Telegram offer the commands, in a language ("vi"), or where none of its language was announced ("").
func (c *Client) Announce(ctx context.Context, language string, commands []BotCommand) error {
	if c.bots == nil {
		return nil
	}
	list, err := json.Marshal(commands)
	if err != nil {
		return fmt.Errorf("write commands: %w", err)
	}
	return c.ask(ctx, Chat{}, "setMyCommands", map[string]string{"commands": string(list), "language_code": language})
}

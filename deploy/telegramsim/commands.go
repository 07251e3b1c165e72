package telegramsim

import (
	"cmp"
	"encoding/json"
	"regexp"
)

// Command is one that the bot offers in its list.
type Command struct {
	Command     string `json:"command"` // without /
	Description string `json:"description"`
}

// commandScope is for whom a list of commands is
// (https://core.telegram.org/bots/api#botcommandscope).
type commandScope struct {
	Type     string `json:"type"`
	ChatID   int64  `json:"chat_id"`
	UserID   int64  `json:"user_id"`
	Language string `json:"-"`
}

const (
	scopeDefault = "default"
	scopePrivate = "all_private_chats"
	scopeGroups  = "all_group_chats"
	scopeChat    = "chat"
)

var commandName = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

func scopeOf(p *call) (commandScope, *failure) {
	scope := commandScope{Type: scopeDefault}
	if raw := p.text("scope"); raw != "" {
		if json.Unmarshal([]byte(raw), &scope) != nil {
			return scope, badRequest("can't parse BotCommandScope JSON object")
		}
	}
	scope.Type = cmp.Or(scope.Type, scopeDefault)
	scope.Language = p.text("language_code")
	return scope, nil
}

func (s *Server) setMyCommands(p *call) (any, *failure) {
	scope, err := scopeOf(p)
	if err != nil {
		return nil, err
	}
	var commands []Command
	if raw := p.text("commands"); raw != "" && json.Unmarshal([]byte(raw), &commands) != nil {
		return nil, badRequest("can't parse commands JSON array")
	}
	if len(commands) > 100 {
		return nil, badRequest("BOT_COMMANDS_TOO_MUCH")
	}
	for _, c := range commands {
		if !commandName.MatchString(c.Command) {
			return nil, badRequest("BOT_COMMAND_INVALID")
		}
		if n := utf16Len(c.Description); n < 1 || n > 256 {
			return nil, badRequest("BOT_COMMAND_DESCRIPTION_INVALID")
		}
	}
	s.commands[scope] = commands
	s.hub.publish(Event{Kind: EventCommands})
	return true, nil
}

func (s *Server) getMyCommands(p *call) (any, *failure) {
	scope, err := scopeOf(p)
	if err != nil {
		return nil, err
	}
	return append([]Command{}, s.commands[scope]...), nil
}

func (s *Server) deleteMyCommands(p *call) (any, *failure) {
	scope, err := scopeOf(p)
	if err != nil {
		return nil, err
	}
	delete(s.commands, scope)
	s.hub.publish(Event{Kind: EventCommands})
	return true, nil
}

// commandsIn are those that a person sees in a chat: the narrowest list that
// there is.
func (s *Server) commandsIn(c *chat) []Command {
	wide := scopeGroups
	if c.Type == Private {
		wide = scopePrivate
	}
	for _, scope := range []commandScope{
		{Type: scopeChat, ChatID: c.ID}, {Type: wide}, {Type: scopeDefault},
	} {
		if list := s.commands[scope]; len(list) > 0 {
			return append([]Command{}, list...)
		}
	}
	return []Command{}
}

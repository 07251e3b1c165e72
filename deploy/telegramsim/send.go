package telegramsim

import (
	"encoding/json"
	"strings"
)

const (
	maxText    = 4096 // UTF-16 units, after entities are parsed
	maxCaption = 1024
)

func (s *Server) sendMessage(p *call) (any, *failure) {
	c, err := s.chatOf(p)
	if err != nil {
		return nil, err
	}
	body, err := textOf(p)
	if err != nil {
		return nil, err
	}
	return s.send(p, c, &message{body: body})
}

func (s *Server) sendDocument(p *call) (any, *failure) {
	c, err := s.chatOf(p)
	if err != nil {
		return nil, err
	}
	d, err := s.documentOf(p)
	if err != nil {
		return nil, err
	}
	body, err := captionOf(p)
	if err != nil {
		return nil, err
	}
	return s.send(p, c, &message{body: body, document: d})
}

// send does what all messages have in common: topic, reply, keyboard, limits.
func (s *Server) send(p *call, c *chat, m *message) (any, *failure) {
	thread, err := c.threadOf(p)
	if err != nil {
		return nil, err
	}
	keyboard, err := keyboardOf(p, false)
	if err != nil {
		return nil, err
	}
	replyTo, err := c.replyOf(p)
	if err != nil {
		return nil, err
	}
	if err := s.admit(c); err != nil {
		return nil, err
	}
	m.from, m.fromBot = s.opts.Bot, true
	m.thread, m.keyboard, m.replyTo = thread, keyboard, replyTo
	m.silent = p.flag("disable_notification")
	if m.document != nil {
		s.files.keep(m.document)
	}
	return s.wireMessage(c, s.post(c, m)), nil
}

// replyOf is the message that a new one answers, 0 for none: given as
// reply_to_message_id or, since Bot API 7.0, in reply_parameters.
func (c *chat) replyOf(p *call) (int64, *failure) {
	id, lenient := p.integer("reply_to_message_id"), p.flag("allow_sending_without_reply")
	if raw := p.text("reply_parameters"); raw != "" {
		var reply struct {
			MessageID int64 `json:"message_id"`
			Lenient   bool  `json:"allow_sending_without_reply"`
		}
		if json.Unmarshal([]byte(raw), &reply) != nil {
			return 0, badRequest("can't parse reply parameters JSON object")
		}
		id, lenient = reply.MessageID, reply.Lenient
	}
	switch {
	case id == 0:
		return 0, nil
	case c.find(id) != nil:
		return id, nil
	case lenient:
		return 0, nil
	}
	return 0, errReplyNotFound
}

// textOf is a message's text, parsed, tidied and measured.
func textOf(p *call) (richText, *failure) {
	if !p.has("text") {
		return richText{}, errTextEmpty
	}
	body, err := formatted(p, "text", "entities")
	switch {
	case err != nil:
		return richText{}, err
	case body.text == "":
		return richText{}, errTextBlank
	case utf16Len(body.text) > maxText:
		return richText{}, errTextTooLong
	}
	return body, nil
}

func captionOf(p *call) (richText, *failure) {
	body, err := formatted(p, "caption", "caption_entities")
	if err == nil && utf16Len(body.text) > maxCaption {
		err = errCaptionTooLong
	}
	return body, err
}

func formatted(p *call, field, entityField string) (richText, *failure) {
	body := richText{text: p.text(field)}
	switch mode := strings.ToLower(p.text("parse_mode")); mode {
	case "html":
		parsed, err := parseHTML(body.text)
		if err != nil {
			return richText{}, badRequest("can't parse entities: %v", err)
		}
		body = parsed
	case "":
		if raw := p.text(entityField); raw != "" {
			if err := explicitEntities(&body, raw); err != nil {
				return richText{}, err
			}
		}
	default:
		return richText{}, badRequest("unsupported parse_mode")
	}
	return tidy(body), nil
}

// explicitEntities takes formatting that comes as a list beside the text.
func explicitEntities(body *richText, raw string) *failure {
	if json.Unmarshal([]byte(raw), &body.entities) != nil {
		return badRequest("can't parse entities: Expected an Array of MessageEntity")
	}
	offsets := byteOffsets(body.text)
	for _, e := range body.entities {
		if e.Offset < 0 || e.Length < 0 || e.end() >= len(offsets) {
			return badRequest("ENTITY_BOUNDS_INVALID")
		}
		if offsets[e.Offset] < 0 || offsets[e.end()] < 0 {
			return badRequest("entity begins or ends in a middle of a UTF-16 symbol")
		}
		if tagName(e.Type) == "" && styleOrder[e.Type] == 0 {
			return badRequest("can't parse entities: unsupported entity type %q", e.Type)
		}
	}
	// What Telegram finds by itself isn't kept: it is found again.
	kept := body.entities[:0]
	for _, e := range body.entities {
		if tagName(e.Type) != "" {
			kept = append(kept, e)
		}
	}
	body.entities = kept
	return nil
}

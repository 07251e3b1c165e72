package telegramsim

import (
	"encoding/json"
	"slices"
)

// Bounds of an inline keyboard; past them Telegram refuses the markup.
const (
	maxButtons      = 100
	maxButtonsInRow = 8
	maxCallbackData = 64 // bytes
)

// Button is one of an inline keyboard. Either Data or URL is set.
type Button struct {
	Text string `json:"text"`
	Data string `json:"callback_data,omitempty"`
	URL  string `json:"url,omitempty"`
}

// keyboardOf reads reply_markup. Keyboards that replace a person's own, and
// their removal, are accepted and not shown; methods that edit refuse them.
func keyboardOf(p *call, editing bool) ([][]Button, *failure) {
	raw := p.text("reply_markup")
	if raw == "" {
		return nil, nil
	}
	var markup map[string]json.RawMessage
	if !json.Valid([]byte(raw)) {
		return nil, badRequest("can't parse reply keyboard markup JSON object")
	}
	if json.Unmarshal([]byte(raw), &markup) != nil {
		return nil, badRequest("object expected as reply markup")
	}
	inline, ok := markup["inline_keyboard"]
	if !ok {
		if editing && len(markup) > 0 {
			return nil, errInlineExpected
		}
		return nil, nil
	}
	var rows [][]map[string]json.RawMessage
	if json.Unmarshal(inline, &rows) != nil {
		return nil, badRequest("field \"inline_keyboard\" must be an Array of Arrays of InlineKeyboardButton")
	}
	var keyboard [][]Button
	total := 0
	for _, row := range rows {
		var buttons []Button
		for _, fields := range row {
			b, err := buttonOf(fields)
			if err != nil {
				return nil, err
			}
			buttons = append(buttons, b)
		}
		total += len(buttons)
		if len(buttons) > maxButtonsInRow || total > maxButtons {
			return nil, errMarkupTooLong
		}
		if len(buttons) > 0 {
			keyboard = append(keyboard, buttons)
		}
	}
	return keyboard, nil
}

// buttonOf reads one button. The official clients may send several kinds'
// fields at once, empty but for one: the first that isn't empty counts.
func buttonOf(fields map[string]json.RawMessage) (Button, *failure) {
	var text, link, data string
	for name, into := range map[string]*string{"text": &text, "url": &link, "callback_data": &data} {
		raw, ok := fields[name]
		if !ok {
			if name == "text" {
				return Button{}, badRequest("can't parse inline keyboard button: Can't find field \"text\"")
			}
			continue
		}
		if json.Unmarshal(raw, into) != nil {
			return Button{}, badRequest("can't parse inline keyboard button: Field %q must be of type String", name)
		}
	}
	switch {
	case text == "":
		return Button{}, badRequest("inline keyboard button text must be non-empty")
	case link != "":
		checked := checkedLink(link)
		if checked == "" {
			return Button{}, badRequest("inline keyboard button URL '%s' is invalid: Wrong HTTP URL", link)
		}
		return Button{Text: text, URL: checked}, nil
	case len(data) > maxCallbackData:
		return Button{}, errButtonData
	case data != "":
		return Button{Text: text, Data: data}, nil
	}
	return Button{}, badRequest("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
}

func sameKeyboard(a, b [][]Button) bool {
	return slices.EqualFunc(a, b, slices.Equal)
}

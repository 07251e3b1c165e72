package telegramsim

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// failure is an answer that isn't ok, as the Bot API writes it.
type failure struct {
	Code        int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  *failureDetails `json:"parameters,omitempty"`
}

type failureDetails struct {
	MigrateToChatID int64 `json:"migrate_to_chat_id,omitempty"`
	RetryAfter      int   `json:"retry_after,omitempty"`
}

func (f *failure) Error() string { return f.Description }

func badRequest(format string, args ...any) *failure {
	return &failure{Code: http.StatusBadRequest, Description: "Bad Request: " + fmt.Sprintf(format, args...)}
}

// The answers that several methods share, word for word: clients match on them.
var (
	errNotFound        = &failure{Code: http.StatusNotFound, Description: "Not Found"}
	errUnauthorized    = &failure{Code: http.StatusUnauthorized, Description: "Unauthorized"}
	errNotAllowed      = &failure{Code: http.StatusMethodNotAllowed, Description: "Method Not Allowed"}
	errInternal        = &failure{Code: http.StatusInternalServerError, Description: "Internal Server Error"}
	errTooLarge        = &failure{Code: http.StatusRequestEntityTooLarge, Description: "Request Entity Too Large"}
	errConflict        = &failure{Code: http.StatusConflict, Description: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"}
	errChatNotFound    = badRequest("chat not found")
	errThreadNotFound  = badRequest("message thread not found")
	errNotModified     = badRequest("message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
	errEditNotFound    = badRequest("message to edit not found")
	errCantEdit        = badRequest("message can't be edited")
	errQueryTooOld     = badRequest("query is too old and response timeout expired or query ID is invalid")
	errButtonData      = badRequest("BUTTON_DATA_INVALID")
	errTextEmpty       = badRequest("message text is empty")
	errTextBlank       = badRequest("text must be non-empty")
	errTextTooLong     = badRequest("message is too long")
	errCaptionTooLong  = badRequest("message caption is too long")
	errNotUTF8         = badRequest("strings must be encoded in UTF-8")
	errReplyNotFound   = badRequest("message to be replied not found")
	errInlineExpected  = badRequest("inline keyboard expected")
	errMarkupTooLong   = badRequest("reply markup is too long")
	errFileUnavailable = badRequest("wrong file_id or the file is temporarily unavailable")
)

func tooManyRequests(seconds int) *failure {
	return &failure{
		Code:        http.StatusTooManyRequests,
		Description: fmt.Sprintf("Too Many Requests: retry after %d", seconds),
		Parameters:  &failureDetails{RetryAfter: seconds},
	}
}

func upgraded(to int64) *failure {
	f := badRequest("group chat was upgraded to a supergroup chat")
	f.Parameters = &failureDetails{MigrateToChatID: to}
	return f
}

// writeResult answers a method: its result, or why there is none.
func writeResult(w http.ResponseWriter, result any, err *failure) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(err.Code)
		writeJSON(w, struct {
			OK bool `json:"ok"`
			*failure
		}{false, err})
		return
	}
	writeJSON(w, struct {
		OK     bool `json:"ok"`
		Result any  `json:"result"`
	}{true, result})
}

func writeJSON(w http.ResponseWriter, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	// The only error left is a client that is gone.
	_ = enc.Encode(v)
}

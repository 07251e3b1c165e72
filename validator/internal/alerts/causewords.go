package alerts

import "strings"

// englishCauses say why a stretch wasn't captured, by the code that sources give. What a source says in words stands as it is.
var englishCauses = map[string]string{
	"outbox_full":         "The outbox was full, or no collector came for it for too long.",
	"capture_failed":      "Capture failed, and let the writes through.",
	"table_new":           "A table, or a part of it, is new here, and had rows before.",
	"switched_off":        "Capture was switched off in the database.",
	"partition_gone":      "A partition was detached or dropped.",
	"partition_changed":   "A partition was emptied, detached or dropped.",
	"row_too_large":       "Rows are larger than the broker takes.",
	"unreadable":          "What was captured can't be read.",
	"reinstalled":         "Capture was installed anew.",
	"restored":            "The database was restored, or failed over.",
	"progress_lost":       "How far it was read isn't known any more.",
	"slot_lost":           "The server has dropped what the slot held back.",
	"slot_moved":          "Somebody else has moved the slot.",
	"capture_changed":     "It is captured in another way than before.",
	"no_replica_identity": "A table has no replica identity.",
	"history_lost":        "The oplog no longer reaches back.",
	"token_refused":       "The server doesn't know the place to go on from.",
	"rewound":             "The deployment was rolled back or restored.",
}

var vietnameseCauses = map[string]string{
	"outbox_full":         "Outbox đã đầy, hoặc quá lâu không có collector đến lấy.",
	"capture_failed":      "Việc thu nhận bị lỗi; ứng dụng vẫn ghi được.",
	"table_new":           "Bảng, hoặc một phần của bảng, mới có ở đây và đã có sẵn dữ liệu.",
	"switched_off":        "Việc thu nhận đã bị tắt trong cơ sở dữ liệu.",
	"partition_gone":      "Một phân vùng đã bị tách ra hoặc xóa.",
	"partition_changed":   "Một phân vùng đã bị làm trống, tách ra hoặc xóa.",
	"row_too_large":       "Có dòng lớn hơn mức broker nhận.",
	"unreadable":          "Dữ liệu thu nhận được không đọc được.",
	"reinstalled":         "Việc thu nhận đã được cài lại.",
	"restored":            "Cơ sở dữ liệu đã được khôi phục, hoặc chuyển sang máy dự phòng.",
	"progress_lost":       "Không còn biết đã đọc đến đâu.",
	"slot_lost":           "Máy chủ đã bỏ những gì slot giữ lại.",
	"slot_moved":          "Slot đã bị dời bởi nơi khác.",
	"capture_changed":     "Cách thu nhận đã khác trước.",
	"no_replica_identity": "Bảng không có replica identity.",
	"history_lost":        "Oplog không còn giữ đến đó.",
	"token_refused":       "Máy chủ không biết chỗ để đọc tiếp.",
	"rewound":             "Cụm máy chủ đã quay lại trạng thái cũ hoặc được khôi phục.",
}

// cause is why a stretch wasn't captured, in words. What follows the code are the server's own.
func (w writer) cause(text string) string {
	code, rest, _ := strings.Cut(text, ": ")
	said, known := w.words.troubles.causes[code]
	switch {
	case !known:
		return text
	case rest != "":
		return strings.TrimSuffix(said, ".") + ": " + rest
	}
	return said
}

package gapalert

// words are the message in one language.
type words struct {
	one, many               string // streams with a gap
	lost, lostOne, lostSome string
	do                      string
	date                    string // Go's layout of a day
	language                string
}

func wordsIn(language string) words {
	if language == "vi" {
		return words{
			one: "có khoảng thiếu", many: "%d luồng có khoảng thiếu",
			lost: "%s thay đổi trong khoảng này không được ghi lại.", lostOne: "Một thay đổi trong khoảng này không được ghi lại.", lostSome: "Thay đổi trong khoảng này có thể không được ghi lại.",
			do: "Cần làm:", date: "02/01", language: "vi",
		}
	}
	return words{
		one: "a gap", many: "a gap in %d streams",
		lost: "%s changes from then are not in the clean stream.", lostOne: "One change from then is not in the clean stream.", lostSome: "Changes from then may not be in the clean stream.",
		do: "Do:", date: "2 Jan", language: "en",
	}
}

package schemas

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFormatsOfOurField(t *testing.T) {
	for format, texts := range map[string]struct{ right, wrong []string }{
		"decimal": {
			[]string{"0", "-1.50", "1e3", "12345678901234567890.123456789"},
			[]string{"", "1,5", "+1", "01", "NaN", "1e1000001", " 1", "1 "},
		},
		"money": {
			[]string{"0", "149.98", "-5", "150000 VND", "149.98 USD", "1.234 KWD", "0.0001", "1.2345 CLF"},
			[]string{"", "1e3", "1.23456", "149.985 USD", "1.5 VND", "1 usd", "1 XXX", "1  USD", "01", "1.", ".5", "$1", strings.Repeat("9", 70)},
		},
		"currency": {[]string{"USD", "VND", "EUR", "XOF"}, []string{"", "usd", "US", "ZZZ", "XAU", "DOLLAR"}},
		"iban": {
			[]string{"DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947", "DE89 3704 0044 0532 0130 00", "FR1420041010050500013M02606"},
			[]string{"", "DE88370400440532013000", "DE8937040044053201300", "XX89370400440532013000", "de89370400440532013000", "DE893 704 0044 0532 0130 00", "GB82WEST1234569876543é"},
		},
		"luhn":     {[]string{"4111111111111111", "79927398713", "490154203237518", "00"}, []string{"", "0", "4111111111111112", "4111 1111 1111 1111", "x", "79927398710"}},
		"objectid": {[]string{"507f1f77bcf86cd799439011", "507F1F77BCF86CD799439011"}, []string{"", "507f1f77bcf86cd79943901", "507f1f77bcf86cd79943901g"}},
		"phone":    {[]string{"+84901234567", "+14155552671", "+442071838750"}, []string{"", "0901234567", "+0123456789", "+84 90 123", "+1234567890123456", "84901234567"}},
	} {
		f := mustLoad(t, map[string]string{"a/b.json": `{"format": "` + format + `"}`}).For("a/b")
		if f == nil {
			t.Fatalf("%s isn't known", format)
		}
		for _, text := range texts.right {
			if err := f.Schema.Validate(text); err != nil {
				t.Errorf("%s refuses %q", format, text)
			}
		}
		for _, text := range texts.wrong {
			if f.Schema.Validate(text) == nil {
				t.Errorf("%s takes %q", format, text)
			}
		}
		if err := f.Schema.Validate(json.Number("1.5")); err != nil {
			t.Errorf("%s judges what is no text: %v", format, err)
		}
	}
}

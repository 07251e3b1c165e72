package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFormatsOfOurField(t *testing.T) {
	for format, texts := range map[string]struct{ right, wrong []string }{
		"decimal": {
			[]string{"0", "-1.50", "1e3", "12345678901234567890.123456789", "-0", "0.10", "1E-7"},
			[]string{"", "1,5", "+1", "01", "NaN", "1e1000001", " 1", "1 ", "1.", ".5", "--1", "0x10", "1_000", "1,000.00", "Infinity", "٣", "1e", strings.Repeat("9", 131_000)},
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
		"objectid": {[]string{"507f1f77bcf86cd799439011", "507F1F77BCF86CD799439011"}, []string{"", "507f1f77bcf86cd79943901", "507f1f77bcf86cd79943901g", "507f1f77bcf86cd7994390111", "ObjectId(507f1f77bcf86cd799439011)", "0x7f1f77bcf86cd799439011"}},
		"phone":    {[]string{"+84901234567", "+14155552671", "+442071838750", "+6834000", "+123456789012345"}, []string{"", "+", "+1", "+84-901-234-567", "tel:+84901234567", "+٨٤٩٠١٢٣٤٥٦٧", "+84901234567 ", "0084901234567", "0901234567", "+0123456789", "+84 90 123", "+1234567890123456", "84901234567"}},
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

// TestIBANsOfTheRegistryAreRightAndNoneThatIsNearlyOne takes the examples of SWIFT's registry: one of each is right, and wrong as soon
// as two digits beside each other are exchanged, a digit is another, one is missing or there is one more.
func TestIBANsOfTheRegistryAreRightAndNoneThatIsNearlyOne(t *testing.T) {
	examples := strings.Fields(`AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741 AT611904300234573201 AZ21NABZ00000000137010001944
		BA391290079401028494 BE68539007547034 BG80BNBG96611020345678 BH67BMAG00001299123456 BR1800360305000010009795493C1 BY13NBRB3600900000002Z00AB00
		CH9300762011623852957 CR05015202001026284066 CY17002001280000001200527600 CZ6508000000192000145399 DE89370400440532013000 DK5000400440116243
		DO28BAGR00000001212453611324 EE382200221020145685 EG380019000500000000263180002 ES9121000418450200051332 FI2112345600000785 FO6264600001631634
		FR1420041010050500013M02606 GB29NWBK60161331926819 GE29NB0000000101904917 GI75NWBK000000007099453 GL8964710001000206 GR1601101250000000012300695
		GT82TRAJ01020000001210029690 HR1210010051863000160 HU42117730161111101800000000 IE29AIBK93115212345678 IL620108000000099999999 IS140159260076545510730339
		IT60X0542811101000000123456 JO94CBJO0010000000000131000302 KW81CBKU0000000000001234560101 KZ86125KZT5004100100 LB62099900000001001901229114
		LI21088100002324013AA LT121000011101001000 LU280019400644750000 LV80BANK0000435195001 MC5811222000010123456789030 MD24AG000225100013104168
		ME25505000012345678951 MK07250120000058984 MR1300020001010000123456753 MT84MALT011000012345MTLCAST001S MU17BOMM0101101030300200000MUR
		NL91ABNA0417164300 NO9386011117947 PK36SCBL0000001123456702 PL61109010140000071219812874 PS92PALS000000000400123456702 PT50000201231234567890154
		QA58DOHB00001234567890ABCDEFG RO49AAAA1B31007593840000 RS35260005601001611379 SA0380000000608010167519 SE4550000000058398257466
		SI56263300012039086 SK3112000000198742637541 SM86U0322509800000000270100 TN5910006035183598478831 TR330006100519786457841326
		UA213223130000026007233566001 VA59001123000012345678 VG96VPVG0000012345678901 XK051212012345678906`)
	for _, iban := range examples {
		if !isIBAN(iban) {
			t.Errorf("%s is refused", iban)
		}
		wrong := []string{iban[:len(iban)-1], iban + "0", strings.ToLower(iban), "ZZ" + iban[2:], iban[:2] + "-" + iban[3:], iban[:2] + "A" + iban[3:], " " + iban, iban + " "}
		for i := 4; i < len(iban); i++ {
			if pair := iban[i-1 : i+1]; i > 4 && pair[0] != pair[1] && pair[0] <= '9' && pair[1] <= '9' {
				wrong = append(wrong, iban[:i-1]+pair[1:]+pair[:1]+iban[i+1:])
			}
			if c := iban[i]; c >= '0' && c < '9' {
				wrong = append(wrong, iban[:i]+string(c+1)+iban[i+1:])
			}
		}
		for _, text := range wrong {
			if isIBAN(text) {
				t.Errorf("%q passes for %s", text, iban)
			}
		}
	}
	for alias, digits := range map[string]string{"00": "97", "01": "98", "99": "02"} { // they leave the same rest
		found := false
		for account := range 2000 {
			rest := fmt.Sprintf("8601%07d", account)
			if !isIBAN("NO" + digits + rest) {
				continue
			}
			found = true
			if isIBAN("NO" + alias + rest) {
				t.Errorf("NO%s%s passes", alias, rest)
			}
		}
		if !found {
			t.Errorf("no account has the check digits %s", digits)
		}
	}
}

// TestLuhnFindsEveryWrongDigit changes each digit of numbers of cards and devices, and exchanges neighbours.
func TestLuhnFindsEveryWrongDigit(t *testing.T) {
	for _, number := range []string{"4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "3530111333300000", "30569309025904", "490154203237518", "18"} {
		if !isLuhn(number) {
			t.Errorf("%s is refused", number)
		}
		for i := range len(number) {
			for c := byte('0'); c <= '9'; c++ {
				if c != number[i] && isLuhn(number[:i]+string(c)+number[i+1:]) {
					t.Errorf("%s passes", number[:i]+string(c)+number[i+1:])
				}
			}
			if pair := number[i:min(i+2, len(number))]; len(pair) == 2 && pair[0] != pair[1] && pair != "09" && pair != "90" { // the one exchange it can't see
				if other := number[:i] + string(pair[1]) + string(pair[0]) + number[i+2:]; isLuhn(other) {
					t.Errorf("%s passes", other)
				}
			}
		}
	}
}

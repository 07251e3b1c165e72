package cel

import "strings"

// currencies are ISO 4217's active codes with their minor units (list one, with
// the amendments up to 2025), and those withdrawn since 2010, which old rows
// still hold. Codes without minor units (XAU, XTS, …) aren't there.
var currencies = func() map[string]int {
	all := make(map[string]int)
	for units, codes := range map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF " +
			"BYR",
		2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD " +
			"CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD " +
			"GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD " +
			"MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD " +
			"RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD " +
			"USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG " +
			"ANG BGN CUC EEK HRK LTL LVL MRO SLL STD VEF ZMK ZWL",
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF UYW",
	} {
		for code := range strings.FieldsSeq(codes) {
			all[code] = units
		}
	}
	return all
}()

// MinorUnits is the number of digits after the point that ISO 4217 gives a
// currency: 2 for USD, 0 for VND, 3 for KWD. Codes are in capitals.
func MinorUnits(code string) (units int, ok bool) {
	units, ok = currencies[code]
	return units, ok
}

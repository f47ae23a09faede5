/// The largest whole number whose cube is at most `value`: digit by digit, 22 rounds.
func cubeRoot(_ value: UInt64) -> UInt64 {
    var rest = value
    var root: UInt64 = 0
    var shift: UInt64 = 63
    while true {
        root &<<= 1
        // (2r + 1)^3 - (2r)^3, at this digit. It cannot overflow: root < 2^21.
        let step = (3 &* root &* (root &+ 1) &+ 1)
        if rest &>> shift >= step {
            rest &-= step &<< shift
            root &+= 1
        }
        if shift == 0 { return root }
        shift &-= 3
    }
}

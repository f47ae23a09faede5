import Testing
@testable import Net

@Test func builds() {}

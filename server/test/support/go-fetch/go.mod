module keyward.test/fetch

go 1.21

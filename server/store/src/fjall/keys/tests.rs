use super::*;

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

#[test]
fn a_page_of_children_is_one_range_of_adjacent_pairs() {
    let (from, to) = children(id(7), Some(id(8)), Order::Oldest);
    let inside = |key: Key| from <= key && key <= to;
    assert!(inside(job(Some(id(7)), id(9), Part::Definition)));
    assert!(inside(job(Some(id(7)), JobId::MAX, Part::Status)));
    assert!(!inside(job(Some(id(7)), id(8), Part::Status)));
    assert!(!inside(job(Some(id(6)), id(9), Part::Status)));
    assert!(!inside(job(Some(id(8)), id(9), Part::Definition)));
    let (from, to) = children(id(7), Some(id(8)), Order::Newest);
    let inside = |key: Key| from <= key && key <= to;
    assert!(inside(job(Some(id(7)), id(7), Part::Status)));
    assert!(inside(job(Some(id(7)), JobId::MIN, Part::Definition)));
    assert!(!inside(job(Some(id(7)), id(8), Part::Definition)));
    let key = job(Some(id(7)), id(9), Part::Status);
    assert!(matches!(child(&key), Ok((found, Part::Status)) if found == id(9)));
    assert!(child(&key[..16]).is_err());
}

#[test]
fn roots_are_in_the_order_newest_first() {
    const NEWEST: Order = Order::Newest;
    let at =
        |millis, number| RootKey { time: Timestamp::from_millis(millis).unwrap(), id: id(number) };
    assert!(root(at(5, 1)) < root(at(4, 1)));
    assert!(root(at(5, 2)) < root(at(5, 1)));
    assert!(matches!(root_key(&root(at(5, 2))), Ok(found) if found == at(5, 2)));

    let (first, last) = roots(at(3, 1).time, at(5, 1).time, NEWEST, None).unwrap();
    let inside = |key| first <= root(key) && root(key) <= last;
    assert!(inside(at(4, 1)) && inside(at(3, 1)));
    assert!(!inside(at(5, 1)) && !inside(at(2, 9)));

    let (first, _) = roots(at(3, 1).time, at(9, 1).time, NEWEST, Some(at(4, 6))).unwrap();
    assert!(first <= root(at(4, 5)) && first > root(at(4, 6)));
    let behind = Some(at(4, 6));
    let (_, last) = roots(at(3, 1).time, at(9, 1).time, Order::Oldest, behind).unwrap();
    assert!(root(at(4, 7)) <= last && last < root(at(4, 6)));
    for time in [at(5, 1).time, at(0, 1).time] {
        assert_eq!(roots(time, time, NEWEST, None), None);
    }
}

#[test]
fn results_of_one_upload_are_one_range() {
    let commit = |text: &str| text.parse::<UploadId>().unwrap();
    let (first, last) = tree_results(&commit("a"), Some(id(7)));
    let inside = |key: Vec<u8>| first <= key && key <= last;
    assert!(
        inside(tree_result(&commit("a"), id(8))) && inside(tree_result(&commit("a"), JobId::MAX))
    );
    assert!(!inside(tree_result(&commit("a"), id(7))));
    assert!(
        !inside(tree_result(&commit("a-"), id(8))) && !inside(tree_result(&commit("aa"), id(8)))
    );
}

#[test]
fn sent_uploads_are_in_the_order_of_time() {
    let at = |millis| Timestamp::from_millis(millis).unwrap();
    let key = sent(at(300), &"x.y".parse().unwrap());
    assert!(first_sent()[..] < key[..]);
    assert!(sent_before(at(300))[..] < key[..] && key[..] < sent_before(at(301))[..]);
    let (time, commit) = sent_of(&key).unwrap();
    assert_eq!((time, commit.as_str()), (at(300), "x.y"));
    assert!(sent_of(&key[..9]).is_err());
}

#[test]
fn what_belongs_to_one_job_stays_together() {
    let keys = [
        change(id(4), 1).to_vec(),
        change(id(4), 256).to_vec(),
        log_line(id(4), 0).to_vec(),
        repeat(id(4), &Repeat::Change("b".into())),
        repeat(id(4), &Repeat::Append("a".into())),
        attachment(id(4), "a"),
        attachment(id(4), "b"),
        change(id(5), 0).to_vec(),
    ];
    assert!(keys.is_sorted());
    assert!(matches!(number_of(&keys[1]), Ok(256)));
    assert!(matches!(attachment_name(&keys[6]).as_deref(), Ok("b")));
    assert!(matches!(repeat_name(&keys[3]), Ok(Repeat::Change(name)) if name == "b"));
    assert!(matches!(repeat_name(&keys[4]), Ok(Repeat::Append(name)) if name == "a"));
    assert!(repeat_name(&keys[4][..9]).is_err());
}

#[test]
fn keys_of_follow_ups_are_in_their_order() {
    let follow_ups = [
        FollowUpKey::Watch,
        FollowUpKey::Action(0),
        FollowUpKey::Action(256),
        FollowUpKey::Check(1),
        FollowUpKey::Delivery(0),
        FollowUpKey::Delivery(u32::MAX),
    ];
    let keys = follow_ups.map(|key| follow_up(id(7), key));
    assert!(keys.is_sorted() && keys[5] <= last_follow_up(id(7)));
    assert!(last_follow_up(id(7)) < follow_up(id(8), FollowUpKey::Watch));
    for (key, follow_up) in keys.iter().zip(follow_ups) {
        assert_eq!(follow_up_key(key).unwrap(), follow_up);
        assert!(follow_up_key(&key[..13]).is_err());
    }
}

#[test]
fn the_order_of_entries_is_that_of_time() {
    let at = |millis, number, key| {
        let time = Timestamp::from_millis(millis).unwrap();
        IndexKey { time, id: id(number), key }
    };
    let entries = [
        at(0, 9, FollowUpKey::Delivery(1)),
        at(255, 1, FollowUpKey::Check(300)),
        at(256, 1, FollowUpKey::Check(0)),
        at(256, 2, FollowUpKey::Check(0)),
    ];
    let keys = entries.map(|key| entry(IndexId::Due, key));
    assert!(keys.is_sorted() && keys[3] <= last_entry(IndexId::Due));
    assert!(last_entry(IndexId::Due) < entry(IndexId::Failed, entries[0]));
    for (key, entry_of) in keys.iter().zip(entries) {
        assert_eq!(entry_key(key).unwrap(), entry_of);
        assert!(entry_key(&key[..22]).is_err());
    }
}

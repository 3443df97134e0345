//! A block: the mixture, the threads, the order.

use super::letter::{Letter, Without};
use super::mail::{BLOCK, Kind, Mail};
use super::{attached, broken, charset, machine, sealed};
use crate::dice::Dice;

/// How many there are of what is neither a thread nor a pair.
const ATTACHED: usize = 21;
const HTML: usize = 8;
const INLINE: usize = 7;
const AUTO_REPLIES: usize = 3;
const LISTS: usize = 4;
const BOMBS: usize = 3;

/// The mails of a seed's `index`th block, in the order of their arrival.
pub(super) fn mails(seed: u64, index: usize) -> Vec<Mail> {
    let mut next = index * BLOCK;
    let mut letter = || {
        let letter = Letter::new(seed, next);
        next += 1;
        letter
    };
    // What stays together in its order, each to be put anywhere.
    let mut lots: Vec<Vec<Mail>> = Vec::with_capacity(BLOCK);
    for way in 0..charset::WAYS {
        lots.push(vec![charset::mail(letter(), way)]);
    }
    lots.extend((0..ATTACHED).map(|_| vec![attached::attached(letter())]));
    lots.extend((0..HTML).map(|_| vec![attached::html(letter())]));
    lots.extend((0..INLINE).map(|_| vec![attached::inline(letter())]));
    lots.extend((0..2).map(|_| vec![machine::bounce(letter())]));
    lots.push(vec![machine::complaint(letter())]);
    lots.extend((0..AUTO_REPLIES).map(|_| vec![machine::auto_reply(letter())]));
    lots.extend((0..LISTS).map(|_| vec![machine::list(letter())]));
    lots.extend((0..2).map(|_| vec![machine::calendar(letter())]));
    lots.extend((0..4).map(|way| vec![sealed::sealed(letter(), way)]));
    lots.push(vec![sealed::tnef(letter())]);
    for without in [Without::From, Without::Date, Without::Subject, Without::MessageId] {
        lots.push(vec![broken::bare(letter(), without)]);
    }
    lots.push(broken::same_id(letter(), letter()).into());
    for without in [Without::Nothing, Without::MessageId] {
        lots.push(broken::twice(letter(), without).into());
    }
    lots.extend((0..BOMBS).map(|bomb| vec![broken::bomb(letter(), index * BOMBS + bomb)]));
    let mut dice = Dice::new(seed.rotate_left(17) ^ (index as u64 + 1).wrapping_mul(0xA24B_AED4_963E_E407));
    for members in [3, 3] {
        let letters = (0..members).map(|_| letter()).collect();
        lots.push(thread(letters, true, &mut dice));
    }
    lots.push(thread(vec![letter(), letter()], false, &mut dice));
    let here: usize = lots.iter().map(Vec::len).sum();
    lots.extend((here..BLOCK).map(|_| vec![attached::plain(letter())]));
    spread(lots, &mut dice)
}

/// One person's mails that belong together. With `begun`, the first is the question and stands before its answers, which
/// come in any order; without, it never came, and they only name the same unknown mail.
fn thread(mut letters: Vec<Letter>, begun: bool, dice: &mut Dice) -> Vec<Mail> {
    let Some(first) = letters.first() else { return Vec::new() };
    let (number, address, name, subject) = (first.number, first.address.clone(), first.name.clone(), first.subject.clone());
    let unseen = format!("unseen.{number}@mail.example.org");
    let root = if begun { first.id.clone() } else { unseen };
    let ids: Vec<String> = letters.iter().map(|letter| letter.id.clone()).collect();
    let mut mails = Vec::new();
    for (at, letter) in letters.iter_mut().enumerate() {
        letter.address.clone_from(&address);
        letter.name.clone_from(&name);
        letter.date = format!("Tue, 24 Nov 2026 1{at}:{:02}:00 +0100", number % 60);
        let mut answer = String::new();
        if at > 0 || !begun {
            letter.subject = format!("Re: {subject}");
            // To the one before it, through the first: as a program writes that knows the whole thread.
            let before = if begun { ids.get(..at) } else { None }.unwrap_or_default();
            let parent = before.last().unwrap_or(&root);
            let middle: String = before.iter().skip(1).map(|id| format!("\r\n <{id}>")).collect();
            answer = format!("In-Reply-To: <{parent}>\r\nReferences: <{root}>{middle}\r\n");
            letter.text += "\r\nLe 24 nov. 2026 à 09:00, Mairie de Saint-Exemple a écrit :\r\n> Votre demande est enregistrée.\r\n";
        }
        let bytes = [letter.head(Without::Nothing), answer.into_bytes(), letter.body()].concat();
        let mut mail = letter.mail(Kind::Thread, bytes);
        mail.expected.thread = Some(format!("t{number}"));
        mails.push(mail);
    }
    let fixed = usize::from(begun);
    for at in (fixed + 1..mails.len()).rev() {
        let other = fixed + usize::try_from(dice.below((at - fixed + 1) as u64)).unwrap_or(0);
        mails.swap(at, other);
    }
    mails
}

/// Shuffles lots into one another; the mails of a lot keep their order.
fn spread(lots: Vec<Vec<Mail>>, dice: &mut Dice) -> Vec<Mail> {
    let mut turns: Vec<usize> = lots
        .iter()
        .enumerate()
        .flat_map(|(lot, mails)| std::iter::repeat_n(lot, mails.len()))
        .collect();
    for at in (1..turns.len()).rev() {
        let other = usize::try_from(dice.below(at as u64 + 1)).unwrap_or(0);
        turns.swap(at, other);
    }
    let mut lots: Vec<_> = lots.into_iter().map(Vec::into_iter).collect();
    turns
        .into_iter()
        .filter_map(|lot| lots.get_mut(lot).and_then(Iterator::next))
        .collect()
}
